"""Runs calls to the ledger off the event loop; inside the run's transaction, if one is open."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from jobs.runtime import own_threads
from jobs.runtime.context import current_run

T = TypeVar("T")
P = ParamSpec("P")


async def off_loop(fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Await ``fn`` on a thread. In an open transaction it never waits for a free thread: others may wait for it."""
    run = current_run.get()
    is_holder = run is not None and run.open_session is not None
    return await (own_threads.hold if is_holder else own_threads.step)(fn, *args, **kwargs)
