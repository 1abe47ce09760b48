"""Undo: an action taken back, run by run, wherever the run is still as the action left it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from jobs.app import App
from jobs.clock import new_run_id
from jobs.context import correlation_id
from jobs.errors import Conflict
from jobs.ledger import audit, find, queues
from jobs.ledger import cancel as cancelling
from jobs.ledger.audit import Note
from jobs.ledger.versions import put_back, versions
from jobs.operations.batches import BATCH, Report, Step, add_up, tell_ready
from jobs.operations.bulk import check_reason
from jobs.operations.operator import Operator, Permission
from jobs.ready.protocol import ReadyEntry
from jobs.sql import Executor
from jobs.states import RunState

_NEEDS = {
    "replay": Permission.RUNS_REPLAY,
    "cancel": Permission.RUNS_CANCEL,
    "purge": Permission.RUNS_PURGE,
    "restore": Permission.RUNS_PURGE,
    "pause": Permission.QUEUES_WRITE,
    "resume": Permission.QUEUES_WRITE,
}


def plan_undo(app: App, operator: Operator, text: str) -> dict[str, Any]:
    """The action that would be undone.

    Raises:
        NotFound, Ambiguous: ``text`` names none, or several.
        Conflict: it cannot be undone, or has been.
    """
    operator.need(Permission.AUDIT_READ)
    with app.database.read() as connection:
        action = audit.find_action(connection, text)
    if action["verb"] not in _NEEDS:
        raise Conflict(f"An action of the kind {action['verb']!r} cannot be undone.")
    if action["undone_by"] is not None:
        raise Conflict(f"Action {text} has been undone.", hint=f"By: jobledger audit show {action['undone_by']}.")
    if action["state"] == "running":
        raise Conflict(f"Action {text} is still going on.", hint="Stop it first.")
    operator.need(_NEEDS[action["verb"]])
    return action


def undo(app: App, operator: Operator, action: dict[str, Any], *, reason: str | None = None) -> Report:
    """Take ``action`` back. Runs that have moved since are skipped, and listed.

    Raises:
        Conflict: another operator undid it first.
    """
    return go_on(app, operator, action, begin_undo(app, operator, action, reason=reason))


def begin_undo(app: App, operator: Operator, action: dict[str, Any], *, reason: str | None = None) -> Report:
    """Put it on record that ``action`` is taken back; ``go_on`` does it. A pause is put back here and now.

    Raises:
        Conflict: another operator undid it first.
    """
    operator.need(_NEEDS[action["verb"]])
    check_reason(app, reason)
    report = Report(action_id=new_run_id(), verb="undo", expected=action["done"])
    with app.database.write(urgent=True) as connection:
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
        if action["target"] != "runs":
            _put_pause_back(connection, action, report)
    return report


def go_on(app: App, operator: Operator, action: dict[str, Any], report: Report) -> Report:
    """Take back what ``begin_undo`` put on record, batch by batch; its row says how it ended."""
    state = "failed"
    try:
        if action["target"] == "runs":
            _undo_runs(app, operator, action, report)
        state = "finished"
    finally:
        with app.database.write(urgent=True) as connection:
            done = report.done if action["target"] != "runs" else None
            audit.finish(connection, report.action_id, state, done=done)
    return report


def _undo_runs(app: App, operator: Operator, action: dict[str, Any], report: Report) -> None:
    after: UUID | None = None
    while True:
        with app.database.read() as connection:
            notes = audit.notes_of(connection, action["id"], after=after, limit=BATCH, skipped=False)
        if not notes:
            return
        with app.database.write() as connection:
            step = _undo_batch(connection, operator, notes)
            audit.note(connection, report.action_id, step.notes)
        tell_ready(app, step)
        add_up(report, step)
        after = notes[-1].run_id


def _undo_batch(session: Executor, operator: Operator, notes: list[Note]) -> Step:
    step = Step()
    # Locked in the order of ids, so that two operators do not wait for each other.
    held = versions(session, [one.run_id for one in notes], lock=True)
    for one in notes:
        if one.new_run_id is not None:
            step.notes.append(_call_off(session, one, operator))
            continue
        if one.before is None or one.after is None or one.run_id not in held:
            step.notes.append(Note(one.run_id, skipped="it is gone"))
            continue
        why = put_back(session, one.run_id, before=one.before, after=one.after)
        if why is not None:
            step.notes.append(Note(one.run_id, skipped=why))
            continue
        step.notes.append(Note(one.run_id, before=one.after, after=one.before))
        if one.before["state"] == RunState.QUEUED:
            due = datetime.fromisoformat(one.before["run_at"])
            step.ready.append(ReadyEntry(one.run_id, one.before["queue"], one.before["priority"], due))
        elif one.after["state"] == RunState.QUEUED:
            step.forgotten.append((one.run_id, one.after["queue"]))
    return step


def _call_off(session: Executor, one: Note, operator: Operator) -> Note:
    """Cancel the new run that a replay made, if nobody has begun it."""
    assert one.new_run_id is not None
    new = find.find_run(session, one.new_run_id)
    if new is None or new.state is not RunState.QUEUED or new.attempt:
        where = "is gone" if new is None else f"is {new.state}" if new.state is not RunState.QUEUED else "was tried"
        return Note(one.run_id, skipped=f"its new run {str(one.new_run_id)[-8:]} {where}")
    if cancelling.cancel(session, new.id, reason=f"undone by {operator.name}"[:500]) is not RunState.CANCELLED:
        return Note(one.run_id, skipped=f"its new run {str(one.new_run_id)[-8:]} has begun")
    return Note(one.run_id, new_run_id=new.id, before=one.after, after=one.before)


def _put_pause_back(session: Executor, action: dict[str, Any], report: Report) -> None:
    what, _, name = action["target"].partition(":")
    if queues.pause_of(session, what, name) != action["after"]:
        report.skipped += 1
        raise Conflict(f"The {what} {name} has been paused or resumed since.", hint="Nothing was changed.")
    queues.set_pause(session, what, name, action["before"])
    report.done += 1
