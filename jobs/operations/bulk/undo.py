"""Undoes an action run by run, if the action's version of the run is still current.

It works in batches, like the action itself; an undo that was stopped, or died, continues when it is requested again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from jobs.app import App
from jobs.clock import new_run_id
from jobs.database.sql import Executor
from jobs.enqueue.publish import announce, entries_of
from jobs.errors import Conflict
from jobs.ledger.effects.resolutions import restore_intent
from jobs.ledger.history.reach import held_versions
from jobs.ledger.operators import audit, audit_queries
from jobs.ledger.operators.audit import AuditEntry
from jobs.ledger.operators.versions import put_back, versions
from jobs.ledger.records import Freed
from jobs.ledger.runs import cancel as cancelling
from jobs.operations.audit.entry import check_reason
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.bulk.batches import (
    BATCH,
    BatchResult,
    Report,
    add_up,
    is_wanted,
    retry_while_busy,
    update_ready_index,
)
from jobs.operations.control.alert_routes import undo_route
from jobs.operations.control.limits import undo_limit
from jobs.operations.control.pause import undo_pause
from jobs.operations.control.retention import undo_retention
from jobs.operations.control.targets import undo_target
from jobs.operations.control.waiting_limits import undo_waiting_limit
from jobs.ready.protocol import ReadyEntry
from jobs.runtime.context import correlation_id
from jobs.states import RunState


@dataclass(frozen=True, slots=True)
class _Undo:
    """How actions of one verb are undone."""

    needs: Permission
    restore: Callable[[Executor, dict[str, Any]], list[Freed]] | None = None
    """Puts back what the action changed, at once, and returns the runs that this made ready. None: run by run."""


_UNDOS = {
    "replay": _Undo(Permission.RUNS_REPLAY),
    "cancel": _Undo(Permission.RUNS_CANCEL),
    "purge": _Undo(Permission.RUNS_PURGE),
    "restore": _Undo(Permission.RUNS_PURGE),
    "resolve": _Undo(Permission.RUNS_REPLAY),
    "pause": _Undo(Permission.QUEUES_WRITE, undo_pause),
    "resume": _Undo(Permission.QUEUES_WRITE, undo_pause),
    "limit": _Undo(Permission.QUEUES_WRITE, undo_limit),
    "clear_limit": _Undo(Permission.QUEUES_WRITE, undo_limit),
    "target": _Undo(Permission.QUEUES_WRITE, undo_target),
    "clear_target": _Undo(Permission.QUEUES_WRITE, undo_target),
    "limit_waiting": _Undo(Permission.QUEUES_WRITE, undo_waiting_limit),
    "clear_waiting_limit": _Undo(Permission.QUEUES_WRITE, undo_waiting_limit),
    "retain": _Undo(Permission.QUEUES_WRITE, undo_retention),
    "clear_retention": _Undo(Permission.QUEUES_WRITE, undo_retention),
    "add_alert": _Undo(Permission.QUEUES_WRITE, undo_route),
    "remove_alert": _Undo(Permission.QUEUES_WRITE, undo_route),
}
"""Each verb that can be undone."""


def plan_undo(app: App, operator: Operator, text: str) -> dict[str, Any]:
    """The action to undo.

    Raises:
        NotFound: ``text`` identifies none.
        Ambiguous: ``text`` identifies several.
        Conflict: it cannot be undone, or has been.
    """
    operator.need(Permission.AUDIT_READ)
    with app.database.read() as connection:
        action = audit_queries.find_action(connection, text)
    if action["verb"] not in _UNDOS:
        raise Conflict(f"An action of the kind {action['verb']!r} cannot be undone.")
    if action["undone_by"] is not None and _undoing(app, action)["state"] == "finished":
        raise Conflict(f"Action {text} has been undone.", hint=f"By: jobledger audit show {action['undone_by']}.")
    if action["state"] == "running":
        raise Conflict(
            f"Action {text} is still going on.",
            hint=f"Stop it first; if its process is gone, finish it: the same command with --resume {text}.",
        )
    operator.need(_UNDOS[action["verb"]].needs)
    return action


def undo(
    app: App,
    operator: Operator,
    action: dict[str, Any],
    *,
    reason: str | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
    progress: Callable[[Report], None] = lambda report: None,
) -> Report:
    """Undo ``action``, or continue its undo. Runs that have moved since are skipped, and listed.

    ``is_stopped`` is called between batches.

    Raises:
        Conflict: another operator undid it first.
    """
    begun = begin_undo(app, operator, action, reason=reason)
    return go_on(app, operator, action, begun, is_stopped=is_stopped, progress=progress)


def begin_undo(app: App, operator: Operator, action: dict[str, Any], *, reason: str | None = None) -> Report:
    """Record that the undo of ``action`` begins or continues; ``go_on`` performs it.

    A pause, a limit or a target is restored immediately.

    Raises:
        Conflict: another operator undid it first.
    """
    operator.need(_UNDOS[action["verb"]].needs)
    check_reason(app, reason)
    report = Report(action_id=action["undone_by"] or new_run_id(), verb="undo", expected=action["done"])
    freed: list[Freed] = []
    with app.database.write(urgent=True) as connection:
        if action["undone_by"] is not None:
            if audit.resume(connection, report.action_id) is None:
                raise Conflict(f"Action {action['id']} has been undone.")
            return report
        if not audit.mark_undone(connection, action["id"], by=report.action_id):
            raise Conflict(f"Action {action['id']} has been undone.")
        audit.begin(
            connection,
            report.action_id,
            verb="undo",
            actor=operator.name,
            target=action["target"],
            reason=reason,
            expected=action["done"],
            undoes=action["id"],
            request_id=correlation_id.get(),
        )
        restore = _UNDOS[action["verb"]].restore
        if restore is not None:
            freed = restore(connection, action)
            report.done += 1
    announce(app, entries_of(freed))
    return report


def go_on(
    app: App,
    operator: Operator,
    action: dict[str, Any],
    report: Report,
    *,
    is_stopped: Callable[[], bool] = lambda: False,
    progress: Callable[[Report], None] = lambda report: None,
) -> Report:
    """Perform the undo that ``begin_undo`` recorded, batch by batch; its row records how it ended."""
    state = "failed"
    is_run_by_run = _UNDOS[action["verb"]].restore is None
    try:
        if is_run_by_run:
            _undo_runs(app, operator, action, report, is_stopped, progress)
        state = "interrupted" if report.is_interrupted else "finished"
    except KeyboardInterrupt:
        state = "interrupted"
        raise
    finally:
        with app.database.write(urgent=True) as connection:
            done = None if is_run_by_run else report.done
            audit.finish(connection, report.action_id, state, done=done)
    return report


def _undoing(app: App, action: dict[str, Any]) -> dict[str, Any]:
    with app.database.read() as connection:
        return audit_queries.find_action(connection, str(action["undone_by"]))


def _undo_runs(
    app: App,
    operator: Operator,
    action: dict[str, Any],
    report: Report,
    is_stopped: Callable[[], bool],
    progress: Callable[[Report], None],
) -> None:
    after: UUID | None = None
    while True:
        with app.database.read() as connection:
            notes = audit_queries.entries_of(connection, action["id"], after=after, limit=BATCH, skipped=False)
        if not notes:
            return
        if is_stopped() or not is_wanted(app, report.action_id):
            report.is_interrupted = True
            return
        step = retry_while_busy(partial(_one_batch, app, operator, report.action_id, notes))
        add_up(report, step)
        progress(report)
        after = notes[-1].run_id


def _one_batch(app: App, operator: Operator, action_id: UUID, notes: list[AuditEntry]) -> BatchResult:
    with app.database.write() as connection:
        step = _undo_batch(connection, operator, action_id, notes, has_history=app.database.history.is_there)
        audit.record(connection, action_id, step.notes)
    update_ready_index(app, step)
    return step


def _undo_batch(
    session: Executor, operator: Operator, action_id: UUID, notes: list[AuditEntry], *, has_history: bool
) -> BatchResult:
    step = BatchResult()
    # Locked in the order of ids, so that two operators cannot deadlock.
    held = held_versions(session, [one.run_id for one in notes], has_history=has_history)
    dealt_with = audit_queries.already_recorded(session, action_id, [one.run_id for one in notes])
    notes = [one for one in notes if one.run_id not in dealt_with]
    why_not = put_back(session, [one for one in notes if one.new_run_id is None], held)
    if any(one.new_run_id is not None for one in notes):
        called_off, freed = _call_off(session, [one for one in notes if one.new_run_id is not None], operator)
        step.notes += called_off
        step.ready += entries_of(freed)
    for one in notes:
        if one.new_run_id is not None:
            continue
        why = why_not[one.run_id]
        if why is not None or one.before is None or one.after is None:
            step.notes.append(AuditEntry(one.run_id, skipped=why))
            continue
        if "step" in one.before:
            restore_intent(session, one.run_id, one.before["step"])
        step.notes.append(AuditEntry(one.run_id, before=one.after, after=one.before))
        if one.before["state"] == RunState.QUEUED:
            due = datetime.fromisoformat(one.before["run_at"])
            step.ready.append(ReadyEntry(one.run_id, one.before["queue"], one.before["priority"], due))
        elif one.after["state"] == RunState.QUEUED:
            step.forgotten.append((one.run_id, one.after["queue"]))
    return step


def _call_off(
    session: Executor, notes: Sequence[AuditEntry], operator: Operator
) -> tuple[list[AuditEntry], list[Freed]]:
    """Cancel the new runs that a replay made, if they have not started. Returns also the runs that are ready now."""
    new_ids = [one.new_run_id for one in notes if one.new_run_id is not None]
    found = versions(session, new_ids, lock=True)
    waiting = [run_id for run_id, one in found.items() if one["state"] == RunState.QUEUED and not one["attempt"]]
    cancelled = cancelling.cancel_runs(session, waiting, reason=f"undone by {operator.name}"[:500])
    called_off: list[AuditEntry] = []
    for one in notes:
        assert one.new_run_id is not None
        new = found.get(one.new_run_id)
        if one.new_run_id in waiting:
            called_off.append(AuditEntry(one.run_id, new_run_id=one.new_run_id, before=one.after, after=one.before))
            continue
        where = "is gone" if new is None else "was tried" if new["state"] == RunState.QUEUED else f"is {new['state']}"
        called_off.append(AuditEntry(one.run_id, skipped=f"its new run {str(one.new_run_id)[-8:]} {where}"))
    return called_off, cancelled.freed
