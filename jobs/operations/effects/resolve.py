"""Resolves an unknown effect: an operator found out whether it took place, and the run goes on from there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from jobs.app import App
from jobs.clock import new_run_id
from jobs.database.sql import Executor
from jobs.enqueue.publish import announce, entries_of
from jobs.errors import Conflict, NotFound
from jobs.ledger.effects import resolutions, steps
from jobs.ledger.effects.steps import StepRecord
from jobs.ledger.history.reach import held_versions
from jobs.ledger.operators import audit
from jobs.ledger.operators.audit import AuditEntry
from jobs.ledger.operators.versions import key_holders, versions
from jobs.ledger.queries import find
from jobs.ledger.records import Freed
from jobs.ledger.run_records import RunRecord
from jobs.ledger.runs.replay import reopen
from jobs.operations.audit.entry import check_reason
from jobs.operations.audit.operator import Operator, Permission
from jobs.runtime.context import correlation_id
from jobs.runtime.steps import write_result
from jobs.states import RunState

SHOWN = 5
"""Names in a message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What was recorded. ``unknown`` are the other unknown effects of the run; with any, it was not reopened."""

    action_id: UUID
    run_id: UUID
    step: str
    took_place: bool
    is_reopened: bool
    unknown: tuple[str, ...]


def resolve(
    app: App,
    operator: Operator,
    run: str,
    step: str,
    *,
    took_place: bool,
    result: Any = None,
    reason: str | None = None,
    reopens: bool = True,
) -> Resolution:
    """Record whether an unknown effect took place, and reopen its run if it is dead.

    The next attempt gets ``result`` from ``once`` without a call, or makes the call if the effect did not take place.
    A run with further unknown effects is not reopened: it would die again.

    Args:
        run: identifies the run.
        result: what the effect returned, a JSON value; of an effect that took place.
        reopens: whether to reopen a dead run.

    Raises:
        NotFound: there is no such run or step.
        Ambiguous: ``run`` identifies several.
        Conflict: the effect is not unknown, or the run is performed now, has succeeded or is purged.
        StepRefused: the result cannot be stored.
        SelectorRefused: the settings require a reason, and there is none.
    """
    operator.need(Permission.RUNS_REPLAY)
    check_reason(app, reason)
    text = write_result(result, what=f"The result of step {step!r}", max_bytes=app.settings.max_result_bytes)
    action_id = new_run_id()
    with app.database.read() as connection:
        run_id = find.resolve_id(connection, run)
    with app.database.write(urgent=True) as connection:
        # The run first, as each verb locks it, then its step.
        before = held_versions(connection, [run_id], has_history=app.database.history.is_there).get(run_id)
        found = find.find_run(connection, run_id)
        if before is None or found is None:
            raise NotFound(f"There is no run {run}.")
        _check_run(found)
        _check_step(connection, found, step, resolutions.find_step(connection, run_id, step))
        intent = resolutions.intent_of(connection, run_id, step)
        if took_place:
            resolutions.record_end(connection, run_id, step, result=text)
        else:
            resolutions.remove_intent(connection, run_id, step)
        unknown = tuple(one.name for one in resolutions.unknown_effects(connection, [run_id]))
        is_due = reopens and found.state is RunState.DEAD and not unknown
        freed = _reopened(connection, run_id) if is_due else []
        audit.begin(
            connection, action_id, verb="resolve", actor=operator.name, target="runs", selector={"ids": [str(run_id)]},
            options={"step": step, "took_place": took_place}, reason=reason, expected=1,
            request_id=correlation_id.get(),
        )  # fmt: skip
        after = versions(connection, [run_id])[run_id]
        entry = AuditEntry(run_id, before={**before, "step": intent}, after=after)
        audit.record(connection, action_id, [entry])
        audit.finish(connection, action_id, "finished")
    announce(app, entries_of(freed))
    return Resolution(
        action_id=action_id,
        run_id=run_id,
        step=step,
        took_place=took_place,
        is_reopened=bool(freed),
        unknown=unknown,
    )


def _check_run(run: RunRecord) -> None:
    if run.deleted_at is not None:
        raise Conflict(f"Run {run.id} is purged.", hint="Restore it first.")
    if run.state is RunState.RUNNING:
        raise Conflict(
            f"Run {run.id} is being performed, and its attempt decides its steps.",
            hint="Wait until the attempt has ended, or cancel the run.",
        )
    if run.state is RunState.SUCCEEDED:
        raise Conflict(f"Run {run.id} has succeeded: nothing waits for this step.")


def _check_step(session: Executor, run: RunRecord, name: str, step: StepRecord | None) -> None:
    if step is None:
        known = [one.name for one in steps.list_steps(session, run.id, limit=SHOWN)]
        raise NotFound(
            f"Run {run.id} has no step {name!r}.",
            hint=f"Its steps: {', '.join(known)}." if known else "It has no steps.",
        )
    if step.form != steps.EFFECT:
        raise Conflict(f"{name!r} of run {run.id} is a cursor, which is never unknown.")
    if step.finished_at is not None:
        raise Conflict(f"Step {name!r} of run {run.id} has ended: it is not unknown. Nothing was changed.")


def _reopened(session: Executor, run_id: UUID) -> list[Freed]:
    freed = reopen(session, [run_id])
    if not freed:
        holder = key_holders(session, [run_id]).get(run_id)
        held = f"its key is held by run {holder}" if holder is not None else "it has moved meanwhile"
        raise Conflict(
            f"Run {run_id} cannot be reopened: {held}. Nothing was changed.",
            hint="Resolve the effect without reopening the run, or try again once the key is free.",
        )
    return freed
