"""K.2: our threads for async callers: not the application's, and never behind those that wait."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

import pytest

from jobs.runtime import own_threads


def test_a_step_needs_no_thread_of_the_loops_default_executor() -> None:
    async def main() -> str:
        loop, stop = asyncio.get_running_loop(), threading.Event()
        loop.set_default_executor(ThreadPoolExecutor(1))
        filled = loop.run_in_executor(None, stop.wait, 10)
        found = await asyncio.wait_for(own_threads.step(lambda: threading.current_thread().name), 5)
        stop.set()
        await filled
        return found

    assert asyncio.run(main()).startswith("jobs-step")


def test_a_holder_gets_a_thread_while_steps_wait_for_it() -> None:
    async def main() -> None:
        done = threading.Event()
        steps = [asyncio.create_task(own_threads.step(done.wait, 10)) for _ in range(own_threads.STEP_THREADS * 3)]
        await asyncio.sleep(0)
        await asyncio.wait_for(own_threads.hold(done.set), 5)
        assert all(await asyncio.gather(*steps))

    asyncio.run(main())


def test_a_step_that_is_cancelled_before_it_begins_does_not_begin() -> None:
    begun: list[int] = []

    async def main() -> None:
        free = threading.Event()
        before = [asyncio.create_task(own_threads.step(free.wait, 10)) for _ in range(own_threads.STEP_THREADS)]
        await asyncio.sleep(0)
        late = asyncio.create_task(own_threads.step(begun.append, 1))
        await asyncio.sleep(0)
        late.cancel()
        with pytest.raises(asyncio.CancelledError):
            await late
        free.set()
        await asyncio.gather(*before)
        await own_threads.step(lambda: None)

    asyncio.run(main())

    assert begun == []


def test_a_step_that_is_cancelled_after_it_began_ends_before_the_error_is_raised() -> None:
    async def main() -> bool:
        begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

        def work() -> None:
            begun.set()
            go_on.wait(60)
            ended.set()

        task = asyncio.create_task(own_threads.step(work))
        while not begun.is_set():
            await asyncio.sleep(0.001)
        task.cancel()
        asyncio.get_running_loop().call_later(0.05, go_on.set)
        with pytest.raises(asyncio.CancelledError):
            await task
        return ended.is_set()

    assert asyncio.run(main())


def test_context_variables_are_seen_in_a_step() -> None:
    tenant: ContextVar[str] = ContextVar("tenant", default="nobody")

    async def main() -> str:
        tenant.set("shop")
        return await own_threads.step(tenant.get)

    assert asyncio.run(main()) == "shop"


def test_a_forked_child_starts_threads_of_its_own() -> None:
    asyncio.run(own_threads.step(lambda: None))
    child = os.fork()
    if child == 0:
        os._exit(asyncio.run(asyncio.wait_for(own_threads.step(lambda: 0), 5)))

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
