"""In which order writers get the turn: urgent ones first, and nobody starves."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from bisect import bisect
from pathlib import Path

import pytest

from jobs.database.sqlite.write_queue import WriteQueue
from tests.jobs.database.sqlite.write_queue.turns import (
    is_locked,
    let_go,
    read_line,
    start,
    wait_until,
    waiting_threads,
)

BATCHES = """
import json, sqlite3, sys, time
from jobs.database.sqlite.write_queue import WriteQueue
path, seconds = sys.argv[1], float(sys.argv[2])
connection, queue = sqlite3.connect(path, isolation_level=None, timeout=0), WriteQueue(path)
connection.execute("PRAGMA synchronous=FULL")
print("ready", flush=True)
sys.stdin.readline()
end, began = time.monotonic() + seconds, []
while time.monotonic() < end:
    with queue.turn(limit_seconds=60):
        began.append(time.monotonic())
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO rows (x) VALUES (?)", [("x" * 50,)] * 200)
        last = connection.execute("SELECT max(id) FROM rows").fetchone()[0]
        connection.execute("UPDATE rows SET x = 'y' WHERE id > ?", (last - 200,))
        connection.execute("COMMIT")
print(json.dumps(began), flush=True)
"""


def test_an_urgent_writer_goes_before_waiting_batches(database: Path) -> None:
    queue, order = WriteQueue(database), []

    def write(name: str, urgent: bool) -> None:
        with WriteQueue(database).turn(urgent):
            order.append(name)

    threads = [threading.Thread(target=write, args=(f"batch {n}", False)) for n in range(3)]
    with queue.turn():
        for number, thread in enumerate(threads, 1):
            thread.start()
            wait_until(lambda number=number: len(waiting_threads()) == number)
        urgent = threading.Thread(target=write, args=("renewal", True))
        urgent.start()
        wait_until(lambda: is_locked(database.with_name("jobs.db-urgent")))
    for thread in [*threads, urgent]:
        thread.join(60)

    assert order[0] == "renewal"
    assert sorted(order[1:]) == ["batch 0", "batch 1", "batch 2"]


def test_a_stream_of_urgent_writers_does_not_starve_a_batch(database: Path) -> None:
    stop, turns = threading.Event(), [0, 0, 0]

    def write_urgent(number: int) -> None:
        queue = WriteQueue(database)
        while not stop.is_set():
            with queue.turn(urgent=True, limit_seconds=30):
                turns[number] += 1

    threads = [threading.Thread(target=write_urgent, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: min(turns) > 0)
        with WriteQueue(database).turn(limit_seconds=60):
            pass
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)


@pytest.mark.slow
def test_of_four_processes_with_batches_none_starves_and_renewals_do_not_wait_behind_them(
    database: Path,
) -> None:
    seconds, waits = 2.0, []  # From the question to the turn.
    children = [start(BATCHES, str(database), str(seconds)) for _ in range(4)]
    try:
        for child in children:
            assert read_line(child) == "ready"
        for child in children:
            let_go(child)
        queue = WriteQueue(database)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            asked = time.monotonic()
            with queue.turn(urgent=True, limit_seconds=60):
                waits.append((asked, time.monotonic()))
            time.sleep(0.01)
        batches = [json.loads(read_line(child)) for child in children]
    finally:
        for child in children:
            child.kill()
            child.communicate()

    connection = sqlite3.connect(database)
    turns = list(map(len, batches))
    assert connection.execute("SELECT count(*) FROM rows").fetchone() == (200 * sum(turns),)
    connection.close()
    assert min(turns) / sum(turns) >= 0.1, turns
    # One batch may be about to begin; all four would be in line.
    begun = sorted(at for each in batches for at in each)
    before = sorted(bisect(begun, got) - bisect(begun, asked) for asked, got in waits)
    assert before[int(len(before) * 0.9)] <= 2, before[-10:]
