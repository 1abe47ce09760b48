from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest

from worker.protocol.running_table import ENTRIES, NEVER, RunningRows, RunningTable


@pytest.fixture
def table() -> Iterator[RunningTable]:
    made = RunningTable(3)
    yield made
    made.close()


def test_the_supervisor_reads_what_is_performing_and_what_has_ended(table: RunningTable) -> None:
    running_rows = RunningRows(table.fd, 1)
    first, second, third = uuid4(), uuid4(), uuid4()

    running_rows.start(first)
    running_rows.ended(running_rows.start(second))
    running_rows.clear(running_rows.start(third))

    assert table.read(1) == ([first], [second])
    assert table.read(0) == table.read(2) == ([], [])


def test_entries_of_the_running_table_outlive_a_killed_process(table: RunningTable) -> None:
    run = uuid4()
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        RunningRows(table.fd, 2).start(run)
        os.write(tell, b"x")
        signal.pause()
    os.read(ready, 1)

    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)

    assert table.read(2) == ([run], [])
    os.close(ready)
    os.close(tell)


def test_a_region_that_was_reset_is_empty(table: RunningTable) -> None:
    RunningRows(table.fd, 0).start(uuid4())
    RunningRows(table.fd, 1).start(uuid4())

    table.reset(0)

    assert table.read(0) == ([], [])
    assert len(table.read(1)[0]) == 1


def test_a_full_running_table_adds_no_entry_and_works_again_after_a_clear(table: RunningTable) -> None:
    running_rows = RunningRows(table.fd, 0)
    entries = [running_rows.start(UUID(int=number)) for number in range(ENTRIES)]
    assert len(set(entries)) == ENTRIES
    assert min(entries) == 0

    beyond = running_rows.start(uuid4())
    running_rows.ended(beyond)
    running_rows.clear(beyond)

    assert beyond == -1
    assert len(table.read(0)[0]) == ENTRIES
    running_rows.clear(entries[7])
    assert running_rows.start(uuid4()) == entries[7]


def test_threads_never_share_an_entry_nor_show_a_run_that_no_thread_performs(table: RunningTable) -> None:
    running_rows = RunningRows(table.fd, 0)
    ours = [{UUID(int=number * 1000 + low) for low in range(500)} for number in range(4)]
    known = set().union(*ours)
    seen: set[UUID] = set()
    running = threading.Event()

    def perform(runs: set[UUID]) -> None:
        running.wait()
        for run in runs:
            entry = running_rows.start(run)
            running_rows.ended(entry)
            running_rows.clear(entry)

    threads = [threading.Thread(target=perform, args=(runs,)) for runs in ours]
    for thread in threads:
        thread.start()
    running.set()
    while any(thread.is_alive() for thread in threads):
        performing, ended = table.read(0)
        seen |= {*performing, *ended}
    for thread in threads:
        thread.join()

    assert seen <= known
    assert table.read(0) == ([], [])
    assert len({running_rows.start(uuid4()) for _ in range(ENTRIES)}) == ENTRIES


def test_marking_a_run_costs_a_few_microseconds_at_most(table: RunningTable) -> None:
    running_rows = RunningRows(table.fd, 0)
    run = uuid4()
    best = float("inf")
    for _ in range(5):
        began = time.process_time()
        for _ in range(2000):
            entry = running_rows.start(run)
            running_rows.ended(entry)
            running_rows.clear(entry)
        best = min(best, (time.process_time() - began) / 2000)

    assert best < 5e-6, f"{best * 1e6:.2f} µs for all three"


def test_a_run_is_over_its_limit_from_that_moment_on_and_until_it_has_ended() -> None:
    table = RunningTable(2)
    running_rows = RunningRows(table.fd, 1)
    late = running_rows.start(UUID(int=1), 10.0)
    running_rows.start(UUID(int=2), 20.0)
    running_rows.start(UUID(int=3))

    assert table.over(1, 9.9) == []
    assert table.over(1, 15.0) == [UUID(int=1)]
    assert table.over(0, 15.0) == []
    running_rows.ended(late)
    assert table.over(1, 15.0) == []
    running_rows.close()
    table.close()


def test_the_nearest_limit_is_that_of_what_is_performed() -> None:
    table = RunningTable(1)
    running_rows = RunningRows(table.fd, 0)
    nothing = table.nearest(0)

    running_rows.start(UUID(int=1))
    running_rows.start(UUID(int=2), 30.0)
    running_rows.ended(running_rows.start(UUID(int=3), 10.0))

    assert (nothing, table.nearest(0)) == (NEVER, 30.0)
    running_rows.close()
    table.close()
