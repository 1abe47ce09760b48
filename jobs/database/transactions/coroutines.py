"""Calls a plain function in the transaction of what ``session=`` of an ``_async`` call takes.

The function receives what the plain call takes, and may only be run to its end here: SQLAlchemy suspends it while the
driver waits, so that the event loop goes on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.util import await_only, greenlet_spawn
from sqlalchemy.util.concurrency import in_greenlet

from jobs.database.transactions import async_drivers, django_alias
from jobs.database.transactions.refusals import refused, refused_async
from jobs.database.transactions.session_connection import present

Result = TypeVar("Result")


async def call_in(given: Any, call: Callable[[Any], Result]) -> Result:
    """Call ``call`` with what stands for ``given`` in a plain call.

    Raises:
        EnqueueRefused: it has no transaction for coroutines.
    """
    plain = present(given)
    if hasattr(plain, "run_sync") and (hasattr(plain, "sync_session") or hasattr(plain, "sync_connection")):
        try:
            result: Result = await plain.run_sync(call)
        except InvalidRequestError as error:
            # A connection that was not awaited, or a session that another task uses.
            raise refused(plain, why=str(error)) from error
        return result
    if django_alias.alias_of(plain) is not None:
        from asgiref.sync import sync_to_async

        # Django's connections belong to the thread that its synchronous code runs in.
        there: Result = await sync_to_async(call, thread_sensitive=True)(plain)
        return there
    adapted = async_drivers.adapted(plain)
    if adapted is None:
        raise refused_async(given)
    return await greenlet_spawn(call, adapted)


def apart(call: Callable[[], Result], off_loop: Callable[[Callable[[], Result]], Awaitable[Result]]) -> Result:
    """Inside the function that ``call_in`` calls: ``call``, which blocks, without blocking the event loop.

    Args:
        off_loop: awaits a function on a thread.
    """
    return await_only(off_loop(call)) if in_greenlet() else call()


def serves_coroutines(given: Any) -> bool:
    """Whether ``call_in`` takes it, or refuses it for another reason than that it is for plain calls."""
    plain = present(given)
    if hasattr(plain, "run_sync") or django_alias.alias_of(plain) is not None:
        return True
    return async_drivers.adapted(plain) is not None
