"""The names of what is measured, as figures and the table have them."""

from __future__ import annotations

PROGRAM = "peers"
PROCESSOR, SYNC = "calibration: processor", "calibration: fsync"
ONE, ONE_CPU, MANY = "enqueue one", "client CPU of enqueue one", "enqueue many, 1,000 a call"
EXECUTED, SETTLED = "drain, {processes}: executed", "drain, {processes}: settled"
KEYED = "drain under limits by key, {processes}"
WORKER, SERVERS = "drain, {processes}: CPU of the worker", "drain, {processes}: CPU of the servers"
LATENCY = "latency at {rate:.0f}/s, {share}"
MEMORY, IDLE = "idle worker, memory (PSS)", "idle worker, CPU"
PROCESSES = {1: "1 process", 2: "2 processes"}
RATES = (50.0, 1.0)
