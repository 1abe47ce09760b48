"""Lists runs, and shows one, as they were at an earlier moment, as far as the ledger keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fnmatch import fnmatchcase
from uuid import UUID

from jobs.app import App
from jobs.database.sql import Executor
from jobs.definition.redaction import HIDDEN
from jobs.errors import NotFound, SelectorRefused
from jobs.ledger.effects import steps
from jobs.ledger.effects.steps import StepRecord
from jobs.ledger.queries import earlier, find
from jobs.ledger.queries.selectors import Selector, is_pattern
from jobs.ledger.run_records import AttemptRecord, RunRecord
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.runs.earlier_state import RunThen, state_then
from jobs.operations.runs.inspect import check_words, shown, shown_attempts
from jobs.sealing.values import masked

CHUNK = 500
"""Runs whose state is derived at once. Source: decision; three statements of a few milliseconds."""
_COMPARE = {
    "=": int.__eq__, ">": int.__gt__, ">=": int.__ge__, "<": int.__lt__, "<=": int.__le__,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class PageThen:
    """Runs as they were, the newest id first; ``next_after`` requests the next page."""

    runs: list[RunThen]
    next_after: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DetailThen:
    """A run as it was, with the attempts that had begun, the steps, and what operators had done.

    ``attempts`` end with the one that was being performed, if there was one: what came of it later is left out.
    """

    then: RunThen
    attempts: list[AttemptRecord]
    is_performing: bool
    steps: list[StepRecord]


def check_moment(at: datetime, now: datetime) -> None:
    """Refuse the future.

    Raises:
        SelectorRefused: ``at`` is later than ``now``.
    """
    if at > now:
        raise SelectorRefused(f"{at.isoformat(timespec='seconds')} is in the future.", hint="Give a past moment.")


def list_as_of(
    app: App, operator: Operator, selector: Selector, at: datetime, *, limit: int = 50, after: UUID | None = None
) -> PageThen:
    """A page of the runs that were there at ``at`` and matched the selector then.

    Runs that have been deleted since are not there any more. Those that an operator has purged since are.

    Raises:
        SelectorRefused: the moment is in the future, or the selector names a cause or what held a run,
            which have no history.
    """
    operator.need(Permission.RUNS_READ)
    check_words(selector, operator)
    check_moment(at, app.clock.now())
    if selector.causes:
        raise SelectorRefused("The cause of a death is not kept for earlier moments.", hint="Select by state or error.")
    if selector.held:
        raise SelectorRefused("What held a run is not kept for earlier moments.", hint="Select by state or kind.")
    found: list[RunThen] = []
    is_any = selector == replace(selector, states=(), since=None, until=None, errors=(), fingerprints=(), attempts=())
    with app.database.read() as connection:
        while len(found) <= limit:
            size = limit + 1 - len(found) if is_any else CHUNK
            runs = earlier.runs_at(connection, selector, at, before=after, limit=size)
            found += [one for one in _as_they_were(connection, runs, at) if _matches(one, selector)]
            if len(runs) < size:
                break
            after = runs[-1].id
    shown_runs = [replace(one, run=shown(one.run, operator)) for one in found[:limit]]
    return PageThen(shown_runs, shown_runs[-1].run.id if len(found) > limit else None)


def find_as_of(app: App, operator: Operator, text: str, at: datetime) -> DetailThen:
    """The run that ``text`` identifies, as it was at ``at``.

    Raises:
        NotFound: it identifies none, or the run was not there yet.
        Ambiguous: it identifies several.
        SelectorRefused: the moment is in the future.
    """
    operator.need(Permission.RUNS_READ)
    check_moment(at, app.clock.now())
    with app.database.read() as connection:
        run = find.find_named(connection, text)
        attempts = [one for one in find.list_attempts(connection, run.id) if one.started_at <= at]
        actions = earlier.actions_on(connection, [run.id]).get(run.id, [])
        begun = [one for one in steps.list_steps(connection, run.id) if one.started_at <= at]
    then = state_then(run, attempts, actions, at)
    if then is None:
        raise NotFound(f"Run {run.id} was not there yet.", hint=f"It was enqueued at {run.created_at.isoformat()}.")
    if not operator.may(Permission.ARGUMENTS_READ):
        begun = [replace(one, result=HIDDEN) for one in begun]
    else:
        begun = [replace(one, result=masked(one.result)) for one in begun]
    return DetailThen(
        then=replace(then, run=shown(then.run, operator)),
        attempts=shown_attempts([one for one in attempts if one.finished_at <= at], operator),
        is_performing=then.word == "running",
        steps=[_step_then(one, at) for one in begun],
    )


def _step_then(step: StepRecord, at: datetime) -> StepRecord:
    if step.finished_at is None or step.finished_at <= at:
        return step
    return replace(step, finished_at=None, result=None)


def _as_they_were(session: Executor, runs: Sequence[RunRecord], at: datetime) -> list[RunThen]:
    ids = [run.id for run in runs]
    attempts = earlier.latest_attempts(session, ids, at) if ids else {}
    actions = earlier.actions_on(session, ids) if ids else {}
    found = (state_then(run, [attempts[run.id]] if run.id in attempts else [], actions.get(run.id, []), at)
             for run in runs)  # fmt: skip
    return [one for one in found if one is not None]


def _matches(then: RunThen, chosen: Selector) -> bool:
    run = then.run
    return (
        (not chosen.states or run.state.value in chosen.states or then.word in chosen.states)
        and (chosen.since is None or run.state_at >= chosen.since)
        and (chosen.until is None or run.state_at <= chosen.until)
        and (not chosen.fingerprints or any((run.fingerprint or "").startswith(one) for one in chosen.fingerprints))
        and (not chosen.errors or any(_is_error(run, one) for one in chosen.errors))
        and all(_COMPARE[sign](run.attempt, number) for sign, number in chosen.attempts)
    )


def _is_error(run: RunRecord, text: str) -> bool:
    """As the present list: the class, with or without its module, or a part of the message."""
    kind, message = run.error_type or "", run.error_message or ""
    pattern = text.replace("[", "[[]")
    in_message = pattern if is_pattern(text) else f"*{pattern}*"
    return any(fnmatchcase(*pair) for pair in ((kind, pattern), (kind, f"*.{pattern}"), (message, in_message)))
