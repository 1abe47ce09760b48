"""A test that leaves a process or a thread running is named."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from jobs.runtime import own_threads
from tests import left_running as guard
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


def test_an_idle_thread_of_our_pools_ends_and_one_that_works_is_named() -> None:
    left_running, begun, ends = LeftRunning(), threading.Event(), threading.Event()
    own_threads.submit(lambda: None).result()
    assert left_running.check(f"{HERE}::idle", seconds=60) == []

    step = own_threads.submit(lambda: (begun.set(), ends.wait(60)))
    begun.wait(60)
    found = left_running.check(f"{HERE}::works", seconds=0)
    ends.set()
    step.result(60)

    assert found == [f"thread jobs-step_0, first seen after {HERE}::works"]


def test_the_last_test_of_a_module_fails_for_what_another_left_running(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "WITHIN_SECONDS", 0.0)
    pytester.makeconftest("from tests.conftest import pytest_runtest_teardown, pytest_sessionstart")
    pytester.makepyfile(
        """
        import threading

        ENDS = threading.Event()

        def test_leaves() -> None:
            threading.Thread(target=ENDS.wait, args=(60,), name="forgotten").start()

        def test_last() -> None: ...
        """,
        test_then="""
        def test_ends() -> None:
            import sys
            sys.modules["test_the_last_test_of_a_module_fails_for_what_another_left_running"].ENDS.set()
        """,
    )

    ran = pytester.runpytest_inprocess("-p", "no:cacheprovider")

    ran.assert_outcomes(passed=3, errors=1)
    ran.stdout.fnmatch_lines(
        ["*ERROR at teardown of test_last*", "left running: thread forgotten, first seen after *::test_leaves"]
    )
