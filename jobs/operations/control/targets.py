"""Targets of queues and kinds: how long a ready run may wait, and which share of the runs shall succeed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from jobs.app import App
from jobs.database.sql import Executor
from jobs.errors import Conflict, SelectorRefused
from jobs.ledger.records import Freed
from jobs.ledger.targets.set_targets import NO_TARGET, TargetRecord, set_target_of, write_target
from jobs.operations.audit.entry import check_reason, record_finished
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.control.pause import check_known
from jobs.targets.target import is_latency, is_success

_PREFIXES = {"queue": "target:", "kind": "kind_target:"}
"""What is before the name in an action's target. A queue's name may contain a colon."""


def set_target(
    app: App,
    operator: Operator,
    name: str,
    *,
    what: str = "queue",
    latency: timedelta | None = None,
    success: float | None = None,
    reason: str | None = None,
    is_new: bool = False,
) -> TargetRecord:
    """Set one or both parts of the target of a ``queue`` or a ``kind``; a part that is None stays as it is.

    Returns what is set then. Metrics and alerts use it from then on. It wins over what a class declares.

    Raises:
        NotFound: no run and no worker knows the name, and ``is_new`` is false.
        SelectorRefused: ``latency`` is not a whole number of seconds from one second to 366 days, ``success`` is no
            share from 0.5 to 0.99999, or both are None.
    """
    if latency is None and success is None:
        raise SelectorRefused("A target is a latency, a share of successes, or both.")
    if latency is not None and not is_latency(latency):
        raise SelectorRefused("A latency target is a whole number of seconds, from one second to 366 days.")
    if success is not None and not is_success(success):
        raise SelectorRefused(
            "A success target is from 50% to 99.999%.", hint="100% leaves no error budget: the first failure breaks it."
        )
    check_known(app, operator, what, name, reason, is_new=is_new)
    seconds = None if latency is None else round(latency.total_seconds())
    with app.database.write(urgent=True) as connection:
        before = set_target_of(connection, what, name)
        after = TargetRecord(seconds, success).over(before)
        _change(connection, operator, "target", (what, name), reason, before, after)
    return after


def clear_target(
    app: App, operator: Operator, name: str, *, what: str = "queue", reason: str | None = None
) -> TargetRecord:
    """Clear the target that an operator set: what the class declares or JOBS_LATENCY_TARGET holds again.

    Returns what was set.

    Raises:
        Conflict: none is set.
    """
    operator.need(Permission.QUEUES_WRITE)
    check_reason(app, reason)
    with app.database.write(urgent=True) as connection:
        before = set_target_of(connection, what, name)
        if before == NO_TARGET:
            raise Conflict(f"No target is set for the {what} {name}.")
        _change(connection, operator, "clear_target", (what, name), reason, before, NO_TARGET)
    return before


def undo_target(session: Executor, action: dict[str, Any]) -> list[Freed]:
    """Put back what was set before an action. It makes no run ready.

    Raises:
        Conflict: it has been changed since.
    """
    what = next(one for one, prefix in _PREFIXES.items() if action["target"].startswith(prefix))
    name = action["target"].removeprefix(_PREFIXES[what])
    before, after = action["before"] or {}, action["after"] or {}
    now = set_target_of(session, what, name)
    # Earlier releases recorded the latency alone.
    parts = {**before, **after}
    if any(getattr(now, part) != after.get(part) for part in parts):
        raise Conflict(f"The target of the {what} {name} has been changed since.", hint="Nothing was changed.")
    put_back = {part: before.get(part) for part in parts}
    write_target(session, what, name, replace(now, **put_back))
    return []


def _change(
    connection: Executor,
    operator: Operator,
    verb: str,
    of: tuple[str, str],
    reason: str | None,
    before: TargetRecord,
    after: TargetRecord,
) -> None:
    what, name = of
    write_target(connection, what, name, after)
    record_finished(
        connection, verb, operator, target=f"{_PREFIXES[what]}{name}", reason=reason, before=_recorded(before),
        after=_recorded(after),
    )  # fmt: skip


def _recorded(target: TargetRecord) -> dict[str, Any] | None:
    if target == NO_TARGET:
        return None
    return {"latency_seconds": target.latency_seconds, "success": target.success}
