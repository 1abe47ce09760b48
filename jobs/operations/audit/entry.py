"""Writes one audit entry for a change that is done at once, in the transaction of the change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jobs.app import App
from jobs.clock import new_run_id
from jobs.database.sql import Executor
from jobs.errors import SelectorRefused
from jobs.ledger.operators import audit
from jobs.ledger.operators.audit import AuditEntry
from jobs.operations.audit.operator import Operator
from jobs.runtime.context import correlation_id


def record_entry(
    connection: Executor,
    verb: str,
    by: Operator,
    *,
    target: str,
    what: str = "schedule",
    reason: str | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    count: int = 1,
    notes: Sequence[AuditEntry] = (),
) -> None:
    """``record_finished`` for a schedule, user or token; ``notes`` are its effects on runs."""
    record_finished(
        connection, verb, by, target=f"{what} {target}", reason=reason, before=before, after=after, count=count,
        notes=notes,
    )  # fmt: skip


def record_finished(
    connection: Executor,
    verb: str,
    by: Operator,
    *,
    target: str,
    reason: str | None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    count: int = 1,
    notes: Sequence[AuditEntry] = (),
) -> None:
    """Record one finished action; ``count`` is the number of things changed, ``notes`` are its effects on runs."""
    action = new_run_id()
    audit.begin(
        connection, action, verb=verb, actor=by.name, target=target, reason=reason, expected=count, before=before,
        request_id=correlation_id.get(),
    )  # fmt: skip
    audit.record(connection, action, notes)
    audit.finish(connection, action, "finished", after=after, done=None if notes else count)


def check_reason(app: App, reason: str | None) -> None:
    """Raises SelectorRefused: the settings require a reason, and there is none; or it is too long."""
    if app.settings.require_reason and not (reason or "").strip():
        raise SelectorRefused("A reason is required here.", hint='Say why: --reason "card service was down".')
    if reason is not None and len(reason) > 500:
        raise SelectorRefused(
            f"The reason has {len(reason)} characters, but at most 500 are allowed.", hint="Shorten it."
        )
