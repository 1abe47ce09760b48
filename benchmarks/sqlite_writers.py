"""Several writers of one SQLite file, with the write queue and without: shares, speed, waits.

    python benchmarks/sqlite_writers.py [--seconds 4] [--processes 4]

Each writer claims 200 runs, works 60 µs a run and settles them; one more process renews a lease every 20 ms.
The output includes the time of one fsync here, without which the figures mean little.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from jobs.database.sqlite.write_queue import WriteQueue

BATCH = 200
WORK_SECONDS = 60e-6


def connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=20)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    return connection


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, queue: WriteQueue | None, urgent: bool = False) -> Iterator[None]:
    with queue.turn(urgent, limit_seconds=20) if queue else contextlib.nullcontext():
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("COMMIT")


def write(path: str, is_queued: bool, seconds: float, start: Barrier, report: Any) -> None:
    connection, queue = connect(path), WriteQueue(path) if is_queued else None
    runs, waits = 0, []
    start.wait()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        asked = time.monotonic()
        with transaction(connection, queue):
            waits.append(time.monotonic() - asked)
            ids = connection.execute(
                "UPDATE runs SET state = 'running', token = randomblob(16) WHERE id IN"
                " (SELECT id FROM runs WHERE state = 'queued' ORDER BY id LIMIT ?) RETURNING id",
                (BATCH,),
            ).fetchall()
        work_until = time.perf_counter() + len(ids) * WORK_SECONDS
        while time.perf_counter() < work_until:
            pass
        with transaction(connection, queue):
            connection.executemany("UPDATE runs SET state = 'succeeded', token = NULL WHERE id = ?", ids)
            connection.executemany("INSERT INTO attempts (run_id, outcome) VALUES (?, 'succeeded')", ids)
        runs += len(ids)
    report.put(("writer", runs, max(waits)))


def renew(path: str, is_queued: bool, seconds: float, start: Barrier, report: Any) -> None:
    connection, queue = connect(path), WriteQueue(path) if is_queued else None
    waits = []
    start.wait()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        asked = time.monotonic()
        with transaction(connection, queue, urgent=True):
            waits.append(time.monotonic() - asked)
            connection.execute("UPDATE leases SET until = until + 1 WHERE id = 1")
        time.sleep(0.02)
    waits.sort()
    report.put(("renewal", len(waits), waits[len(waits) // 2], waits[int(len(waits) * 0.99)], waits[-1]))


def measure(processes: int, is_queued: bool, seconds: float) -> None:
    with tempfile.TemporaryDirectory(dir=".") as folder:
        path = os.path.join(folder, "bench.db")
        connection = connect(path)
        connection.executescript(
            "CREATE TABLE runs (id INTEGER PRIMARY KEY, state TEXT, token BLOB);"
            "CREATE INDEX ready ON runs (id) WHERE state = 'queued';"
            "CREATE TABLE attempts (id INTEGER PRIMARY KEY, run_id INTEGER, outcome TEXT);"
            "CREATE TABLE leases (id INTEGER PRIMARY KEY, until INTEGER); INSERT INTO leases VALUES (1, 0);"
        )
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO runs (state) VALUES (?)", [("queued",)] * int(40_000 * (seconds + 1)))
        connection.execute("COMMIT")
        connection.close()
        context = multiprocessing.get_context("fork")
        report, start = context.Queue(), context.Barrier(processes + 1)
        arguments = (path, is_queued, seconds, start, report)
        children = [context.Process(target=write, args=arguments) for _ in range(processes)]
        children.append(context.Process(target=renew, args=arguments))
        for child in children:
            child.start()
        answers = [report.get(timeout=seconds + 60) for _ in children]
        for child in children:
            child.join()
    runs = [answer[1] for answer in answers if answer[0] == "writer"]
    longest = max(answer[2] for answer in answers if answer[0] == "writer")
    _, count, middle, p99, worst = next(answer for answer in answers if answer[0] == "renewal")
    print(
        f"{'queue' if is_queued else 'none ':5}  {processes} processes  {sum(runs) / seconds:8,.0f} runs/s"
        f"  least share {min(runs) / sum(runs):.3f}  longest wait {longest * 1000:5.0f} ms"
        f"  renewals {count}: p50 {middle * 1000:.1f}  p99 {p99 * 1000:.1f}  max {worst * 1000:.1f} ms"
    )


def fsync_seconds() -> float:
    with tempfile.TemporaryFile(dir=".") as file:
        began = time.perf_counter()
        for _ in range(50):
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
        return (time.perf_counter() - began) / 50


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--processes", type=int, default=4)
    chosen = parser.parse_args()
    print(f"one fsync {fsync_seconds() * 1000:.2f} ms, batches of {BATCH}")
    for processes in sorted({1, chosen.processes}):
        for is_queued in (False, True):
            measure(processes, is_queued, chosen.seconds)


if __name__ == "__main__":
    main()
