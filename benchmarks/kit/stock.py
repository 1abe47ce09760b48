"""Stock dramatiq on Redis: the yardstick. Its own command starts its processes; it records nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from benchmarks.kit.places import ROOT, end

URL = "BENCH_STOCK_REDIS_URL"
LATENCIES = "bench:latencies"
MESSAGES = "dramatiq:default.msgs"

broker = RedisBroker(url=os.environ.get(URL, "redis://127.0.0.1:1/0"))
dramatiq.set_broker(broker)


@dramatiq.actor
def noop(a: int, b: str) -> None:
    """Does nothing."""


@dramatiq.actor
def late(sent: float) -> None:
    """Reports how late it started."""
    broker.client.rpush(LATENCIES, (time.time() - sent) * 1000)


def use(url: str) -> None:
    """Send to this server, emptied."""
    global broker
    broker = RedisBroker(url=url)
    broker.client.flushall()
    for actor in (noop, late):
        actor.broker = broker
        broker.declare_actor(actor)


def send(count: int) -> None:
    """Send ``count`` noops, one by one, since there is no other way."""
    for number in range(count):
        noop.send(number, "x" * 100)


def waiting() -> int:
    """Messages not yet acknowledged."""
    return int(broker.client.hlen(MESSAGES))


@contextmanager
def worker(url: str, *, processes: int, threads: int = 8, prefetch: str | None = "256") -> Iterator[None]:
    """Run ``dramatiq`` itself, with as many threads as a worker of ours."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), URL: url}
    if prefetch is not None:
        env["dramatiq_queue_prefetch"] = prefetch
    argv = [sys.executable, "-m", "dramatiq", "benchmarks.kit.stock"]
    argv += ["--processes", str(processes), "--threads", str(threads)]
    process = subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        end(process)


def drain(url: str, count: int, *, processes: int) -> float:
    """Messages per second, from the first acknowledgement to the last; all messages are sent before."""
    use(url)
    send(count)
    with worker(url, processes=processes):
        while (left := waiting()) == count:
            time.sleep(0.005)
        began, done = time.perf_counter(), left
        while waiting():
            time.sleep(0.02)
        return done / (time.perf_counter() - began)


def latencies() -> list[float]:
    """The reports of ``late`` so far, in milliseconds."""
    return [float(one) for one in broker.client.lrange(LATENCIES, 0, -1)]
