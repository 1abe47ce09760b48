"""Threads for async callers of the ledger, separate from the application's default executor.

There are two kinds. A *step* opens what it needs, uses it and closes it; it may wait for a thread. A *holder* has an
open transaction for which others wait, so it gets a thread at once.
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
"""Source: decision; a step takes about a millisecond, and a process keeps about ten connections for steps."""
HOLDER_THREADS = 1024
"""More than any pool has connections: no holder ever waits for a thread. Threads start when they are needed."""

_executors: dict[str, ThreadPoolExecutor] = {}


def submit(fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
    """Start a step in this context and return its future."""
    return _submit("jobs-step", STEP_THREADS, partial(fn, *args, **kwargs))


async def step(fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Await a step.

    A step that is cancelled before it begins does not begin. If it has begun, the cancellation is raised once it is
    over, so that no work goes on unseen by the caller.
    """
    return await _ended(_submit("jobs-step", STEP_THREADS, partial(fn, *args, **kwargs)), may_drop=True)


async def hold(fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The same for a call that uses an open transaction; it always begins."""
    return await _ended(_submit("jobs-holder", HOLDER_THREADS, partial(fn, *args, **kwargs)), may_drop=False)


async def _ended(future: Future[T], *, may_drop: bool) -> T:
    waiting = asyncio.wrap_future(future)
    try:
        return await asyncio.shield(waiting)
    except asyncio.CancelledError:
        if not (may_drop and future.cancel()):
            await asyncio.wait([waiting])
            if not waiting.cancelled():
                waiting.exception()  # Retrieve the error: the cancellation is raised instead.
        raise


def _submit(name: str, threads: int, fn: Callable[[], T]) -> Future[T]:
    executor = _executors.get(name)
    if executor is None:
        # If two threads come here at once, one pool stays unused and starts no thread.
        executor = _executors.setdefault(name, ThreadPoolExecutor(threads, thread_name_prefix=name))
    context: Any = contextvars.copy_context()
    return executor.submit(context.run, fn)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_executors.clear)
