"""How an attempt calls ``perform``: in which context, and on which event loop."""

from __future__ import annotations

import asyncio
import decimal
import inspect
from collections.abc import Callable
from contextvars import Token
from typing import Any

from jobs.client.job import Job
from jobs.database.sqlite.write_queue import turn_holder
from jobs.runtime.context import correlation_id, current_run
from jobs.runtime.run import Run
from jobs.runtime.run_hooks import run_hooks


def to_end(perform: Callable[[], Any]) -> Any:
    """Call a plain ``perform``. If a decorator hides an async one, the call returns a coroutine: run that too."""
    value = perform()
    return asyncio.run(value) if inspect.iscoroutine(value) else value


def hooked(job: Job, run: Run) -> Callable[[], Any]:
    """An async job's ``perform`` inside the hooks of coroutines."""

    async def perform() -> Any:
        async with run_hooks.around_async(run):
            return await job.perform()

    return perform


def without_loop(perform: Callable[[], Any]) -> Callable[[], Any]:
    """A job's ``perform`` as a plain function; a coroutine gets an event loop of its own."""
    if inspect.iscoroutinefunction(perform):
        return lambda: asyncio.run(perform())
    return perform


def become_current(run: Run) -> tuple[Token[Run | None], Token[str | None], Token[object]]:
    """Make this run the current one for the code in this context. The tokens are for ``CurrentRun``."""
    # A copied context shares the decimal context, which code changes in place.
    decimal.setcontext(decimal.getcontext().copy())
    # The correlation id may be None: whoever performs the run may be in a context with another.
    return current_run.set(run), correlation_id.set(run.correlation_id), turn_holder.set(run.token)


class CurrentRun:
    """Makes this run the current one for the code in the block and what it awaits. For use in a context of its own."""

    __slots__ = ("_before", "_run")

    def __init__(self, run: Run) -> None:
        self._run = run

    def __enter__(self) -> None:
        self._before = become_current(self._run)

    def __exit__(self, *raised: object) -> None:
        run, correlation, holder = self._before
        turn_holder.reset(holder)
        current_run.reset(run)
        correlation_id.reset(correlation)
