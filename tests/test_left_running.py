"""A test that leaves a process or a thread running is named."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from tests.fork_server import forked
from tests.left_running import LeftRunning

HERE = "tests/test_left_running.py"
needs_children = pytest.mark.skipif(sys.platform != "linux", reason="the kernel names no children")


@needs_children
@pytest.mark.parametrize("is_forked", [False, True])
def test_a_process_that_outlives_its_test_is_named_with_it_once(is_forked: bool) -> None:
    left_running = LeftRunning()
    begin = forked("tests.left_asleep") if is_forked else [sys.executable, "-m", "tests.left_asleep"]
    with subprocess.Popen(begin, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        left_running.look(f"{HERE}::first")

        (found, *forks) = left_running.check(f"{HERE}::last", seconds=0)

        assert found.startswith(f"process {process.pid} (")
        assert found.endswith(f", first seen after {HERE}::first")
        assert len(forks) == is_forked
        assert left_running.check(f"{HERE}::last", seconds=0) == []
        process.communicate()


def test_a_thread_that_outlives_its_test_is_named_and_one_that_ends_in_time_or_is_a_daemon_is_not() -> None:
    left_running, ends = LeftRunning(), threading.Event()
    threading.Thread(target=ends.wait, name="daemon", daemon=True).start()
    short = threading.Thread(target=ends.wait, args=(0.2,), name="short")
    short.start()

    assert left_running.check(f"{HERE}::one", seconds=60) == []
    long = threading.Thread(target=ends.wait, name="long")
    long.start()
    assert left_running.check(f"{HERE}::two", seconds=0) == [f"thread long, first seen after {HERE}::two"]

    ends.set()
    long.join()
