"""Signals by operators and by outside systems, and the list of a run's signals."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from math import ceil
from typing import Any
from uuid import UUID

from jobs.app import App
from jobs.database.sql import Executor
from jobs.definition.redaction import HIDDEN
from jobs.enqueue.signal_path import Signalled, payload_text, publish_freed
from jobs.errors import NotFound, SelectorRefused, SignalRefused, StepRefused
from jobs.formats.duration import format_duration
from jobs.ledger.effects import signals
from jobs.ledger.effects.callbacks import find_callback, use_callback
from jobs.ledger.effects.signals import SignalRecord, SignalSent, send_signal
from jobs.ledger.operators import rate_limits
from jobs.ledger.operators.audit import AuditEntry
from jobs.ledger.queries import find
from jobs.operations.access.access_errors import TooManyAttempts
from jobs.operations.audit.entry import check_reason, record_entry
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.runs.detail import FIRST, DetailPage, part_of
from jobs.runtime.steps import check_name
from jobs.states import FINAL

MAX_ATTEMPTS, ATTEMPTS_WITHIN = 20, timedelta(minutes=15)
"""Unknown callback tokens from one address that are free, and the longest wait. Source: decision; as for sign-in."""


def signal_run(
    app: App, operator: Operator, text: str, name: str, payload: Any = None, *, reason: str | None = None
) -> Signalled:
    """Send a signal to the run that ``text`` identifies. The same transaction writes its audit entry, without payload.

    Raises:
        NotFound: it identifies none.
        Ambiguous: it identifies several.
        SignalRefused: the run has ended.
        ArgumentsRefused: the payload is not JSON, or too large.
        SelectorRefused: the name or the reason is invalid.
    """
    operator.need(Permission.RUNS_SIGNAL)
    check_reason(app, reason)
    try:
        check_name(name)
    except StepRefused as error:
        raise SelectorRefused(f"The signal has no valid name: {error.message}", hint=error.hint) from None
    value = payload_text(app, payload)
    if app.database.history.is_there:
        with app.database.read() as connection:
            run = find.find_named(connection, text)
        if run.state in FINAL:
            # It may have moved, and then the writing transaction would not find it.
            raise signals.ended(run.id, run.state)
    with app.database.write(urgent=True) as connection:
        run_id = find.find_named(connection, text).id
        sent = _sent(connection, run_id, name, value, by=operator.name)
        record_entry(
            connection, "signal", operator, target=f"{run_id} {name}", what="run", reason=reason,
            after={"run_id": str(run_id), "signal": name, "is_first": sent.is_new},
            notes=[AuditEntry(run_id, skipped=None if sent.is_new else f"it has a signal {name!r}")],
        )  # fmt: skip
        if sent.freed:
            app.database.send_notify(connection)
    publish_freed(app, sent.freed)
    return Signalled(run_id, sent.is_new)


def answer_callback(app: App, secret: str, payload: Any, *, address: str | None) -> Signalled:
    """Send the signal of a callback URL, as an outside system without an account.

    Args:
        address: the network that sends it, for the limit of wrong tokens; None is not limited.

    Raises:
        NotFound: there is no such URL.
        SignalRefused: it was used, has expired, or its run has ended.
        ArgumentsRefused: the payload is not JSON, or too large.
        TooManyAttempts: too many unknown tokens came from the address.
    """
    value = payload_text(app, payload)
    with app.database.write(urgent=True) as connection:
        found = find_callback(connection, secret)
        if found is not None:
            if not found.is_open:
                why = "was used already" if found.used_at is not None else "has expired"
                raise SignalRefused(f"This callback URL {why}.", hint="Ask the sender for another one.")
            sent = _sent(connection, found.run_id, found.name, value, by="callback")
            use_callback(connection, secret)
            if not sent.is_new:
                raise SignalRefused(
                    f"Run {found.run_id} has a signal {found.name!r} already.", hint="Only the first answer counts."
                )
            if sent.freed:
                app.database.send_notify(connection)
    if found is None:
        _count_miss(app, address)
        raise NotFound("There is no such callback URL.")
    publish_freed(app, sent.freed)
    return Signalled(found.run_id, sent.is_new)


def signals_of(
    app: App, operator: Operator, run_id: UUID, *, after: str | None = None, limit: int = FIRST
) -> DetailPage[SignalRecord, str]:
    """The signals of a run, by name; ``after`` is the last name of the previous page."""
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        found = signals.list_signals(connection, run_id, after=after, limit=limit + 1)
    if not operator.may(Permission.ARGUMENTS_READ):
        found = [replace(one, payload=HIDDEN) for one in found]
    return part_of(found, limit, lambda one: one.name)


def _sent(session: Executor, run_id: UUID, name: str, value: str, *, by: str) -> SignalSent:
    sent = send_signal(session, run_id, name, value, sent_by=by[:200])
    if sent is None:
        raise NotFound(f"There is no run {run_id}.")
    return sent


def _count_miss(app: App, address: str | None) -> None:
    if address is None:
        return
    with app.database.write() as connection:
        wait = rate_limits.try_once(
            connection, [f"callback:{address}"], now=app.clock.now(), most=MAX_ATTEMPTS, within=ATTEMPTS_WITHIN
        )
    if wait is not None:
        seconds = ceil(wait)
        span = format_duration(timedelta(seconds=seconds))
        raise TooManyAttempts("Too many unknown callback URLs.", retry_after_seconds=seconds, hint=f"Wait {span}.")
