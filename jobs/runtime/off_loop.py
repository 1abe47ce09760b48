"""Calls the ledger without blocking the event loop; in the run's transaction, if one is open."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from jobs.runtime import own_threads
from jobs.runtime.context import current_run

T = TypeVar("T")
P = ParamSpec("P")


async def off_loop(fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Await ``fn`` on a thread of ours. Others may wait for an open transaction, so it never waits for a thread."""
    run = current_run.get()
    is_holder = run is not None and run.open_session is not None
    return await (own_threads.hold if is_holder else own_threads.step)(fn, *args, **kwargs)
