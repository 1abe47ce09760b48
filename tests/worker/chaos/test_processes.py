"""Signals reach the process that a worker reported, and no other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.waiting import wait_until
from worker.chaos.processes import WorkerProcesses
from worker.protocol.process_identity import identity_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that sleeps already: a young one still runs, to load its libraries."""
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            assert wait_until(lambda: name_of(process.pid) == "sleep" and state_of(process.pid) == "S", seconds=60)
            yield process
        finally:
            process.kill()


def name_of(pid: int) -> str:
    with open(f"/proc/{pid}/comm") as file:
        return file.read().strip()


def state_of(pid: int) -> str:
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


def test_a_process_is_stopped_thawed_and_killed(sleeper: subprocess.Popen[bytes]) -> None:
    identity = identity_of(sleeper.pid)
    assert identity is not None
    with WorkerProcesses() as processes:
        assert processes.is_there(sleeper.pid, identity)
        assert processes.stop(sleeper.pid, identity)
        assert wait_until(lambda: state_of(sleeper.pid) == "T", seconds=60)
        assert processes.thaw(sleeper.pid, identity)
        assert wait_until(lambda: state_of(sleeper.pid) == "S", seconds=60)
        assert processes.kill(sleeper.pid, identity)

        assert sleeper.wait(60) == -signal.SIGKILL
        assert not processes.is_there(sleeper.pid, identity)
        assert not processes.kill(sleeper.pid, identity)


def test_a_process_that_has_the_number_now_gets_no_signal(sleeper: subprocess.Popen[bytes]) -> None:
    with WorkerProcesses() as processes:
        for identity in ("another-boot/1", f"{identity_of(sleeper.pid)}0", str(identity_of())):
            assert not processes.is_there(sleeper.pid, identity)
            assert not processes.kill(sleeper.pid, identity)
            assert not processes.stop(sleeper.pid, identity)

    assert state_of(sleeper.pid) == "S"
    assert sleeper.poll() is None


def test_an_exception_leaves_no_process_stopped(sleeper: subprocess.Popen[bytes]) -> None:
    identity = str(identity_of(sleeper.pid))

    def interrupted() -> None:
        with WorkerProcesses() as processes:
            assert processes.stop(sleeper.pid, identity)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert wait_until(lambda: state_of(sleeper.pid) == "S", seconds=60)


def test_a_process_has_another_identity_than_one_that_it_starts() -> None:
    assert identity_of() == identity_of(os.getpid())
    assert identity_of() != identity_of(1)
    assert identity_of(2**22) is None
