"""Threads for async callers of the ledger, apart from the application's default executor.

Two kinds. A *step* opens what it needs, uses it and is done; it may wait for others. A *holder* has an open
transaction, and others wait for it: it gets a thread at once, whoever else waits.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")

STEP_THREADS = 8
"""Source: decision; a step takes about a millisecond, and a process keeps some ten connections for them."""
HOLDER_THREADS = 1024
"""Above what any pool holds: no holder ever waits for a thread. They start as they are needed."""

_executors: dict[str, ThreadPoolExecutor] = {}


def submit(fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
    """Start a step, in this context; whoever wants its end asks the future."""
    return _submit("jobs-step", STEP_THREADS, partial(fn, *args, **kwargs))


async def step(fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Await a step.

    Cancelled, it does not begin; if it has begun, the cancellation is raised when it is over, so that nothing goes on
    behind the caller's back.
    """
    return await _ended(_submit("jobs-step", STEP_THREADS, partial(fn, *args, **kwargs)), may_drop=True)


async def hold(fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The same for what uses a transaction that is open; it is always begun."""
    return await _ended(_submit("jobs-holder", HOLDER_THREADS, partial(fn, *args, **kwargs)), may_drop=False)


async def _ended(future: Future[T], *, may_drop: bool) -> T:
    waiting = asyncio.wrap_future(future)
    try:
        return await asyncio.shield(waiting)
    except asyncio.CancelledError:
        if not (may_drop and future.cancel()):
            await asyncio.wait([waiting])
            if not waiting.cancelled():
                waiting.exception()  # Seen: the cancellation is what is raised.
        raise


def _submit(name: str, threads: int, fn: Callable[[], T]) -> Future[T]:
    executor = _executors.get(name)
    if executor is None:
        # Two at once: the pool of one of them is used by nobody, and has no thread.
        executor = _executors.setdefault(name, ThreadPoolExecutor(threads, thread_name_prefix=name))
    context: Any = contextvars.copy_context()
    return executor.submit(context.run, fn)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_executors.clear)
