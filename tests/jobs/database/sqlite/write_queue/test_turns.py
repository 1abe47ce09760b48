"""Turns are tested with real processes: a fake of flock would prove nothing."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from jobs.database.sqlite.write_queue import WriteQueue
from jobs.errors import Conflict, LedgerBusy
from tests.jobs.database.sqlite.write_queue.turns import (
    held_elsewhere,
    is_locked,
    let_go,
    queue_in_thread,
    wait_until,
    waiting_threads,
)
from tests.open_files import needs_proc, opened_in


@pytest.mark.parametrize("theirs", ["ordinary", "urgent"])
@pytest.mark.parametrize("urgent", [False, True])
def test_two_processes_never_have_the_turn_at_once(database: Path, theirs: str, urgent: bool) -> None:
    queue = WriteQueue(database)
    with held_elsewhere(database, theirs) as child:
        told = r"jobs\.db was kept locked by another process for 0\.05 s"
        with pytest.raises(LedgerBusy, match=told), queue.turn(urgent, limit_seconds=0.05):
            pass

        let_go(child)
        with queue.turn(urgent):
            assert is_locked(database.with_name("jobs.db-write"))

    # The wait that was given up may still pass through the lock once.
    wait_until(lambda: not is_locked(database.with_name("jobs.db-write")))
    wait_until(lambda: not is_locked(database.with_name("jobs.db-gate")))


@pytest.mark.parametrize("urgent", [False, True])
def test_a_turn_held_by_a_killed_process_is_free(database: Path, urgent: bool) -> None:
    with held_elsewhere(database) as child:
        child.send_signal(signal.SIGKILL)
        child.wait()

        with WriteQueue(database).turn(urgent, limit_seconds=60):
            pass


def test_a_turn_given_up_while_waiting_leaves_nothing_locked(database: Path) -> None:
    queue = WriteQueue(database)
    with held_elsewhere(database) as child:
        for _ in range(3):
            with pytest.raises(LedgerBusy), queue.turn(limit_seconds=0.02):
                pass
        let_go(child)
        child.wait()

    wait_until(lambda: not waiting_threads())
    with queue.turn(limit_seconds=60):
        pass
    with WriteQueue(database).turn(limit_seconds=60), pytest.raises(LedgerBusy), queue_in_thread(queue):
        pass


@needs_proc
def test_a_writer_that_hangs_costs_the_others_one_thread_and_no_more_files(database: Path) -> None:
    queue = WriteQueue(database)
    with held_elsewhere(database) as child:
        os.kill(child.pid, signal.SIGSTOP)
        files = []
        for _ in range(10):
            with pytest.raises(LedgerBusy), queue.turn(limit_seconds=0.01):
                pass
            files.append(len(opened_in(database.parent)))
            assert len(waiting_threads()) == 1
        # The thread opens its own while the first callers give up.
        assert max(files) - min(files) < len(files) / 2

        waiting = threading.Timer(0.05, child.kill)
        waiting.start()
        with queue.turn(limit_seconds=60):
            assert is_locked(database.with_name("jobs.db-write"))

    wait_until(lambda: not is_locked(database.with_name("jobs.db-write")))
    wait_until(lambda: not is_locked(database.with_name("jobs.db-gate")))


def test_a_queue_closed_while_a_wait_goes_on_leaves_nothing_open_or_locked(database: Path) -> None:
    files = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else None
    queue = WriteQueue(database)
    with held_elsewhere(database):
        with pytest.raises(LedgerBusy), queue.turn(limit_seconds=0.01):
            pass
        queue.close()

    wait_until(lambda: not waiting_threads())
    wait_until(lambda: not is_locked(database.with_name("jobs.db-write")))
    wait_until(lambda: files is None or len(os.listdir("/proc/self/fd")) == files)


def test_threads_of_one_queue_exclude_each_other(database: Path) -> None:
    queue, inside, most = WriteQueue(database), [0], [0]

    def write(urgent: bool) -> None:
        for _ in range(50):
            with queue.turn(urgent, limit_seconds=30):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                os.sched_yield()
                inside[0] -= 1

    threads = [threading.Thread(target=write, args=(urgent,)) for urgent in (False, False, True, True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert (most, inside) == ([1], [0])


def test_a_thread_that_waits_for_its_own_process_too_long_gets_an_error(database: Path) -> None:
    queue = WriteQueue(database)
    with queue.turn(), pytest.raises(LedgerBusy, match="by this process for"), queue_in_thread(queue):
        pass


@pytest.mark.parametrize("urgent", [False, True])
def test_a_turn_inside_a_turn_is_refused_at_once(database: Path, urgent: bool) -> None:
    again = WriteQueue(database).turn(urgent)
    with WriteQueue(database).turn(), pytest.raises(Conflict, match="already writing"), again:
        pass

    with WriteQueue(database).turn(urgent):
        pass


def test_an_error_in_the_block_gives_the_turn_back(database: Path) -> None:
    queue = WriteQueue(database)
    with pytest.raises(ZeroDivisionError), queue.turn():
        raise ZeroDivisionError

    with WriteQueue(database).turn(limit_seconds=60), WriteQueue(database.with_name("other.db")).turn():
        pass


@pytest.mark.parametrize("limit", [0, -1, float("nan")])
def test_a_limit_that_is_no_span_is_refused(database: Path, limit: float) -> None:
    with pytest.raises(ValueError, match="above zero"), WriteQueue(database).turn(limit_seconds=limit):
        pass
