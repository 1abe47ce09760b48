"""Waits: a run leaves ``perform`` for a signal or a moment, and begins it again when the wait is over."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from jobs.clock import new_secret
from jobs.definition.enqueue_options import MAX_WAIT
from jobs.errors import ConfigurationError, EnqueueRefused, WaitExpired
from jobs.formats.shown import shown
from jobs.ledger.effects import waits
from jobs.ledger.effects.callbacks import add_callback
from jobs.runtime import own_threads
from jobs.runtime.fault_points import reached
from jobs.runtime.steps import check_name, take_name, write_step
from jobs.runtime.suspended import Suspended

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from jobs.runtime.transaction import Performing

T = TypeVar("T")
SIGNALLED, EXPIRED, SLEPT = "signalled", "expired", "slept"
"""How a wait ended, as its step stores it."""
CALLBACK_PATH = "/v1/callbacks/"


def wait_for(run: Performing, name: str, within: timedelta | None) -> Any:
    """See ``Run.wait_for``."""
    if within is not None:
        _check_span(within, "within=")
    take_name(run, name)
    run.refuse_inside("wait_for()")
    found = write_step(run, lambda connection: _look_for_signal(run, connection, name, within))
    reached("wait:begun" if isinstance(found, Suspended) else "wait:over")
    return _leave_or(run, found)


async def wait_for_async(run: Performing, name: str, within: timedelta | None) -> Any:
    """See ``Run.wait_for_async``."""
    return await off_loop(run, lambda: wait_for(run, name, within))


def sleep(run: Performing, name: str, span: timedelta) -> None:
    """See ``Run.sleep``."""
    _check_span(span, "sleep()")
    take_name(run, name)
    run.refuse_inside("sleep()")
    _leave_or(run, write_step(run, lambda connection: _look_at_clock(run, connection, name, span)))


async def sleep_async(run: Performing, name: str, span: timedelta) -> None:
    """See ``Run.sleep_async``."""
    await off_loop(run, lambda: sleep(run, name, span))


def callback_url(run: Performing, name: str, within: timedelta) -> str:
    """See ``Run.callback_url``."""
    check_name(name)
    _check_span(within, "within=")
    run.refuse_inside("callback_url()")
    base = run.app.settings.public_url
    if base is None:
        raise ConfigurationError(
            "JOBS_PUBLIC_URL is not set, so no callback URL can be made.",
            hint="Set it to the address at which outside systems reach the API, such as https://jobs.example.com.",
        )
    secret = new_secret()
    write_step(
        run,
        lambda connection: add_callback(connection, run.id, run.token, name, secret=secret, within=within),
    )
    return f"{base.rstrip('/')}{CALLBACK_PATH}{secret}"


async def callback_url_async(run: Performing, name: str, within: timedelta) -> str:
    """See ``Run.callback_url_async``."""
    return await off_loop(run, lambda: callback_url(run, name, within))


async def off_loop(run: Performing, do: Callable[[], T]) -> T:
    """Do it on a thread of ours; our own time is not the job's."""
    with run.limits_off():
        return await own_threads.step(do)


def leave(run: Performing, suspended: Suspended) -> NoReturn:
    """Leave ``perform``. The attempt ends as suspended, also if the job swallows this."""
    run.suspended = suspended
    raise suspended


def left_by(run: Performing, error: BaseException) -> BaseException:
    """The error that ended the attempt: the suspension if ``error`` is nothing else, as from a task group."""
    if run.suspended is not None and isinstance(error, BaseExceptionGroup) and error.split(Suspended)[1] is None:
        return run.suspended
    return error


def _look_for_signal(run: Performing, connection: Connection, name: str, within: timedelta | None) -> Any:
    wait = waits.begin_wait(connection, run.id, run.token, name, form=waits.WAIT, attempt=run.attempt)
    if wait.is_over and wait.result == EXPIRED:
        return _expired(name, within)
    if wait.signal is not None:
        if not wait.is_over:
            waits.end_wait(connection, run.id, run.token, name, result=json.dumps(SIGNALLED))
        return wait.signal[0]
    until = None if within is None else wait.started_at + within
    if until is not None and wait.now >= until:
        # Recorded, so that a signal that comes later does not change what later attempts see.
        waits.end_wait(connection, run.id, run.token, name, result=json.dumps(EXPIRED))
        return _expired(name, within)
    return Suspended(f"{waits.SIGNAL_PREFIX}{name}", until=until)


def _look_at_clock(run: Performing, connection: Connection, name: str, span: timedelta) -> Any:
    wait = waits.begin_wait(connection, run.id, run.token, name, form=waits.SLEEP, attempt=run.attempt)
    until = wait.started_at + span
    if wait.is_over or wait.now >= until:
        if not wait.is_over:
            waits.end_wait(connection, run.id, run.token, name, result=json.dumps(SLEPT))
        return None
    return Suspended(f"{waits.SLEEP_PREFIX}{name}", until=until)


def _leave_or(run: Performing, found: Any) -> Any:
    """What the ledger found, once its transaction has committed: a value, or an error or suspension to raise."""
    if isinstance(found, Suspended):
        leave(run, found)
    if isinstance(found, WaitExpired):
        raise found
    return found


def _expired(name: str, within: timedelta | None) -> WaitExpired:
    return WaitExpired(
        f"No signal {name!r} came within {within}.",
        name=name,
        hint="Catch WaitExpired to go on without it, or wait longer.",
    )


def _check_span(span: Any, what: str) -> None:
    if not isinstance(span, timedelta) or not timedelta(0) <= span <= MAX_WAIT:
        raise EnqueueRefused(f"{what} takes a timedelta from zero to a hundred years, got {shown(span)}.")
