"""A fork waits until no other thread is inside a library that cannot be forked there."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from jobs import fork_uses
from jobs.fork_uses import Uses
from tests.waiting import wait_until

uses = Uses()


@contextmanager
def other_thread_inside() -> Iterator[threading.Event]:
    """Another thread is inside until the block ends or the event is set."""
    entered, leave = threading.Event(), threading.Event()

    def use() -> None:
        with uses, uses:
            entered.set()
            leave.wait(60)

    thread = threading.Thread(target=use)
    thread.start()
    try:
        assert entered.wait(60)
        yield leave
    finally:
        leave.set()
        thread.join(60)


def forked() -> int:
    """The exit code of a child that enters and leaves at once."""
    child = os.fork()
    if not child:
        with uses:
            os._exit(0 if len(uses._inside) == 1 else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_fork_waits_for_a_thread_that_is_inside_and_no_other_enters_meanwhile() -> None:
    codes: list[int] = []
    with other_thread_inside() as leave:
        forking = threading.Thread(target=lambda: codes.append(forked()))
        forking.start()
        assert wait_until(lambda: uses._is_forking, seconds=30)
        entering = threading.Thread(target=lambda: uses.__enter__())
        entering.start()
        assert not codes
        leave.set()
        forking.join(30)
        entering.join(30)
    uses._inside.clear()

    assert codes == [0]


def test_the_thread_that_forks_may_be_inside_itself() -> None:
    with uses:
        assert forked() == 0


def test_a_use_that_never_ends_delays_one_fork_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fork_uses, "FORK_SECONDS", 0.05)
    with other_thread_inside():
        assert forked() == 0
        assert not uses._inside
