"""K.2: a semaphore that threads and coroutines wait for in one queue."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest

from jobs.clock import SystemClock
from jobs.database.semaphore import Permit, Semaphore
from jobs.errors import LedgerBusy


def _held(semaphore: Semaphore) -> Permit:
    permit = semaphore.take(1.0)
    assert permit is not None
    return permit


def test_a_returned_permit_goes_to_the_first_waiter() -> None:
    semaphore = Semaphore(1, SystemClock())
    order: list[str] = []

    async def main() -> None:
        first = _held(semaphore)

        async def coroutine(name: str) -> None:
            permit = await semaphore.take_async()
            order.append(name)
            permit.release()

        def thread() -> None:
            permit = _held(semaphore)
            order.append("thread")
            permit.release()

        waiting = [asyncio.create_task(coroutine("first"))]
        await asyncio.sleep(0)
        started = threading.Thread(target=thread)
        started.start()
        while len(semaphore._waiting) < 2:
            await asyncio.sleep(0.001)
        waiting.append(asyncio.create_task(coroutine("last")))
        await asyncio.sleep(0)
        first.release()
        await asyncio.gather(*waiting)
        started.join(5)

    asyncio.run(main())

    assert order == ["first", "thread", "last"]


def test_a_waiter_that_is_cancelled_leaves_its_place_to_the_next() -> None:
    semaphore = Semaphore(1, SystemClock())

    async def main() -> None:
        first = _held(semaphore)
        gone = asyncio.create_task(semaphore.take_async())
        stays = asyncio.create_task(semaphore.take_async())
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.wait([gone])
        first.release()
        (await asyncio.wait_for(stays, 5)).release()

    asyncio.run(main())

    assert semaphore.try_take() is not None


def test_one_that_is_cancelled_as_its_turn_comes_gives_it_back() -> None:
    semaphore = Semaphore(1, SystemClock())

    async def main() -> None:
        first = _held(semaphore)
        waiting = asyncio.create_task(semaphore.take_async())
        await asyncio.sleep(0)
        first.release()
        waiting.cancel()
        await asyncio.wait([waiting])

    asyncio.run(main())

    assert semaphore.try_take() is not None


def test_a_permit_that_nobody_refers_to_is_given_back() -> None:
    semaphore = Semaphore(1, SystemClock())

    semaphore.take(1.0)
    gc.collect()

    assert semaphore.try_take() is not None


def test_a_permit_is_given_back_once() -> None:
    semaphore = Semaphore(1, SystemClock())
    permit = _held(semaphore)

    permit.release()
    permit.release()

    kept = semaphore.try_take()
    assert kept is not None
    assert semaphore.try_take() is None


def test_a_wait_that_times_out_says_what_to_do_and_holds_no_permit() -> None:
    semaphore = Semaphore(1, SystemClock())
    permit = _held(semaphore)

    with pytest.raises(LedgerBusy, match="are in use"), semaphore.place(0.01, what="sqlite:///jobs.db"):
        pass
    permit.release()

    with semaphore.place(0.01, what="sqlite:///jobs.db"):
        assert semaphore.try_take() is None


def test_many_threads_and_coroutines_never_have_more_places_than_there_are() -> None:
    semaphore, inside, most = Semaphore(3, SystemClock()), [0], [0]
    lock = threading.Lock()

    def enter(by: int) -> None:
        with lock:
            inside[0] += by
            most[0] = max(most[0], inside[0])

    def thread() -> None:
        for _ in range(50):
            with semaphore.place(30, what="it"):
                enter(1)
                enter(-1)

    async def coroutine() -> None:
        for _ in range(20):
            permit = await semaphore.take_async()
            enter(1)
            await asyncio.sleep(0)
            enter(-1)
            permit.release()

    async def main() -> None:
        await asyncio.gather(*(coroutine() for _ in range(20)))

    threads = [threading.Thread(target=thread) for _ in range(4)]
    for one in threads:
        one.start()
    asyncio.run(main())
    for one in threads:
        one.join(30)

    assert most[0] <= 3
    assert semaphore._free == 3
