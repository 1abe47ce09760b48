"""The mark of a ledger for chaos: an operator sets it, and it refuses a ledger that production uses."""

from __future__ import annotations

import re
from datetime import timedelta

from jobs.app import App
from jobs.database.sql import Executor
from jobs.errors import Conflict, SelectorRefused
from jobs.ledger.chaos import targets
from jobs.ledger.chaos.fleet import ChaosWorker, live_workers
from jobs.ledger.chaos.targets import ChaosTarget
from jobs.operations.audit.entry import check_reason, record_finished
from jobs.operations.audit.operator import Operator, Permission

LONGEST = timedelta(days=7)
"""The longest time for which a ledger may be marked. Source: decision; a forgotten mark must end."""
AUDIT_TARGET = "chaos:"
"""The target of an action: this and the name of the mark."""


def allow(app: App, operator: Operator, target: str, *, span: timedelta, reason: str | None = None) -> ChaosTarget:
    """Mark the ledger as ``target`` for ``span``; replaces the mark that it has.

    Raises:
        SelectorRefused: the name is no name, or the span is longer than ``LONGEST``; or a reason is required.
        Conflict: a live worker was not started for this target; or chaos is run now.
    """
    operator.need(Permission.WORKERS_WRITE)
    check_reason(app, reason)
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,40}", target):
        raise SelectorRefused(
            f"{target!r} cannot be the name of a target.", hint="Use up to 40 letters, digits, points and dashes."
        )
    if not timedelta(0) < span <= LONGEST:
        raise SelectorRefused("A ledger is marked for at most 7 days.", hint="Give --for 8h, say.")
    with app.database.write(urgent=True) as connection:
        before = targets.find_target(connection)
        refuse_during_a_run(before)
        refuse_others(connection, target)
        targets.set_target(connection, target, by=operator.name, reason=reason, span=span)
        after = targets.find_target(connection)
        assert after is not None
        record_finished(
            connection, "allow_chaos", operator, target=f"{AUDIT_TARGET}{target}", reason=reason,
            before=_recorded(before), after=_recorded(after),
        )  # fmt: skip
    return after


def revoke(app: App, operator: Operator, *, reason: str | None = None) -> ChaosTarget:
    """Remove the mark; a run of chaos that is under way ends at its next fault. Returns what was removed.

    Raises:
        Conflict: the ledger has no mark.
    """
    operator.need(Permission.WORKERS_WRITE)
    check_reason(app, reason)
    with app.database.write(urgent=True) as connection:
        before = targets.find_target(connection)
        if before is None:
            raise Conflict("This ledger is not marked for chaos.")
        targets.remove_target(connection)
        record_finished(
            connection, "revoke_chaos", operator, target=f"{AUDIT_TARGET}{before.target}", reason=reason,
            before=_recorded(before),
        )  # fmt: skip
    return before


def show(app: App, operator: Operator) -> tuple[ChaosTarget | None, list[ChaosWorker]]:
    """The mark of the ledger, if it has one, and its live workers."""
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        return targets.find_target(connection), live_workers(connection)


def check_target(connection: Executor, target: str) -> ChaosTarget:
    """The mark of the ledger, if it has this name and is not over.

    Raises:
        Conflict: it does not.
    """
    mark = targets.find_target(connection)
    how = f"jobledger chaos allow --target {target} --for 8h, once its workers were started with JOBS_CHAOS={target}."
    if mark is None:
        raise Conflict("This ledger is not marked for chaos.", hint=f"If it is no production ledger: {how}")
    if mark.target != target:
        raise Conflict(f"This ledger is marked as {mark.target}, not as {target}.", hint="Is it the ledger you mean?")
    if mark.is_over:
        raise Conflict(f"The mark of this ledger ended at {mark.allowed_until:%Y-%m-%d %H:%M} UTC.", hint=how)
    return mark


def refuse_others(connection: Executor, target: str) -> list[ChaosWorker]:
    """The live workers of the ledger, all of which were started for ``target``.

    Raises:
        Conflict: one was not.
    """
    live = live_workers(connection)
    others = [one for one in live if one.target != target]
    if others:
        first = others[0]
        was = "for no chaos" if first.target is None else f"for {first.target}"
        more = f", and {len(others) - 1} more" if len(others) > 1 else ""
        raise Conflict(
            f"The live worker {first.name} was started {was}{more}.",
            hint=f"Chaos needs workers that were started with JOBS_CHAOS={target}, and no others.",
        )
    return live


def refuse_during_a_run(mark: ChaosTarget | None) -> None:
    """Raises Conflict if chaos is run now."""
    if mark is not None and mark.run_until is not None:
        raise Conflict(
            f"{mark.run_by} runs chaos on this ledger now, until {mark.run_until:%H:%M:%S} UTC at the latest.",
            hint="Wait for its end, or end it: jobledger chaos revoke.",
        )


def _recorded(mark: ChaosTarget | None) -> dict[str, str] | None:
    return None if mark is None else {"target": mark.target, "until": mark.allowed_until.isoformat()}
