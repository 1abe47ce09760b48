"""The state of a run at an earlier moment, derived from its attempts, from operators' actions, and from its row.

The ledger keeps a run's present state, and no history of its row. Each attempt records when it began and how it ended,
and each action of an operator records the run's state columns before and after. The latest of these facts that is not
later than the moment says what the state was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from jobs.ledger.queries.earlier import ActionOnRun
from jobs.ledger.run_records import AttemptRecord, RunRecord
from jobs.states import FINAL, Cause, Outcome, RunState


class KnownBy(StrEnum):
    """Which record says what the state was."""

    ENQUEUE = "its enqueue"
    ATTEMPT = "its attempts"
    ACTION = "an operator's action"
    ROW = "its row: it has not changed since"


@dataclass(frozen=True, slots=True)
class RunThen:
    """A run as it was at a moment.

    Attributes:
        run: its row with the values of that moment; what cannot be known is None.
        word: ``ready``, ``scheduled`` and so on if it was queued and the ledger knows when it was due; else its state.
        unknown: the fields of ``run`` that are None because nothing recorded them.
    """

    run: RunRecord
    word: str
    known_by: KnownBy
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Fact:
    moment: datetime
    known_by: KnownBy
    state: RunState
    values: dict[str, Any] = field(default_factory=dict)


NEVER_KEPT = ("progress", "priority", "run_at", "expires_at", "held_on", "cancel_requested_at")
"""What the row keeps only of the present: nobody knows it of a run that has changed since."""


def state_then(
    run: RunRecord, attempts: Sequence[AttemptRecord], actions: Sequence[ActionOnRun], at: datetime
) -> RunThen | None:
    """The run as it was at ``at``; None if it did not exist yet.

    Args:
        attempts: those that had begun at ``at`` and have ended since, in order; at least the latest of them.
        actions: what operators did to it, at any time.
    """
    if run.created_at > at:
        return None
    facts = [one for one in _facts(run, attempts, actions) if one.moment <= at]
    # The last of those with the same moment: they are listed from the least exact to the most exact.
    last = max(enumerate(facts), key=lambda numbered: (numbered[1].moment, numbered[0]))[1]
    if last.known_by is KnownBy.ROW:
        return RunThen(_as_now(run, at), _word(run.state, run.attempt, run.run_at, run.hold, at), last.known_by)
    then = _as_then(run, last, attempts, at)
    due, was_held = last.values.get("run_at"), last.values.get("was_held")
    unknown = tuple(name for name in NEVER_KEPT if name not in last.values)
    if then.state is RunState.DEAD and then.cause is None:
        unknown = ("cause", *unknown)
    return RunThen(then, _word(then.state, then.attempt, due, was_held, at), last.known_by, unknown)


def _facts(run: RunRecord, attempts: Sequence[AttemptRecord], actions: Sequence[ActionOnRun]) -> Iterator[_Fact]:
    yield _Fact(run.created_at, KnownBy.ENQUEUE, RunState.QUEUED, {"attempt": 0})
    for one in attempts:
        about = {"attempt": one.attempt, "worker": one.worker}
        yield _Fact(one.started_at, KnownBy.ATTEMPT, RunState.RUNNING, about)
        yield _Fact(one.finished_at, KnownBy.ATTEMPT, _after(one), about | _wait_after(one))
    for action in actions:
        yield from _facts_of(action)
    yield _Fact(run.state_at, KnownBy.ROW, run.state)


def _after(attempt: AttemptRecord) -> RunState:
    """The state that a run entered when this attempt ended: its row says so only until the next move."""
    if attempt.outcome is Outcome.SUCCEEDED:
        return RunState.SUCCEEDED
    if attempt.retry_at is not None or attempt.outcome is Outcome.SUSPENDED:
        return RunState.QUEUED
    return RunState.CANCELLED if attempt.outcome is Outcome.CANCELLED else RunState.DEAD


def _wait_after(attempt: AttemptRecord) -> dict[str, Any]:
    if attempt.outcome is Outcome.SUSPENDED:
        return {"was_held": "waiting"}
    return {"run_at": attempt.retry_at} if attempt.retry_at is not None else {}


def _facts_of(action: ActionOnRun) -> Iterator[_Fact]:
    before, after = action.before or {}, action.after or {}
    for version in (before, after):
        if "state" not in version or "state_at" not in version:
            continue
        if version is after and after.get("state_at") == before.get("state_at"):
            continue  # It changed something else: a request to cancel, say.
        entered = datetime.fromisoformat(version["state_at"])
        values = {
            "attempt": version["attempt"],
            "worker": version.get("worker"),
            "cause": Cause(version["cause"]) if version.get("cause") else None,
            "priority": version.get("priority"),
            **{
                name: datetime.fromisoformat(version[name]) if version.get(name) else None
                for name in ("run_at", "expires_at", "cancel_requested_at")
            },
        }
        # An undo puts back the moment at which the run had entered its state, which is before the undo.
        moment = max(entered, action.began_at) if version is after else entered
        yield _Fact(moment, KnownBy.ACTION, RunState(version["state"]), values)


def _as_now(run: RunRecord, at: datetime) -> RunRecord:
    """Its row, without what was added later."""
    if run.held_at is not None and run.held_at > at:
        run = replace(run, hold=None, held_at=None, held_on=None, held_until=None)
    if run.cancel_requested_at is not None and run.cancel_requested_at > at:
        run = replace(run, cancel_requested_at=None, cancel_reason=None)
    # A run that still performs has progress and a lease of now.
    running: dict[str, Any] = {"progress": None, "lease_until": None} if run.state is RunState.RUNNING else {}
    return replace(run, deleted_at=None, **running)


def _as_then(run: RunRecord, fact: _Fact, attempts: Sequence[AttemptRecord], at: datetime) -> RunRecord:
    begun = [one for one in attempts if one.started_at <= at]
    failed = next((one for one in reversed(begun) if one.error_type is not None and one.finished_at <= at), None)
    is_final = fact.state in FINAL
    is_same_success = fact.state is RunState.SUCCEEDED and run.state is RunState.SUCCEEDED
    return replace(
        run,
        state=fact.state,
        state_at=fact.moment,
        attempt=fact.values["attempt"],
        worker=fact.values.get("worker"),
        cause=fact.values.get("cause"),
        priority=fact.values.get("priority", run.priority),
        run_at=fact.values.get("run_at") or run.created_at,
        expires_at=fact.values.get("expires_at"),
        cancel_requested_at=fact.values.get("cancel_requested_at"),
        cancel_reason=None,
        hold=None,
        held_at=None,
        held_on=None,
        held_until=None,
        lease_until=None,
        started_at=begun[-1].started_at if begun else None,
        finished_at=fact.moment if is_final else None,
        result=run.result if is_same_success else None,
        progress=None,
        error_type=failed.error_type if failed else None,
        error_message=failed.error_message if failed else None,
        fingerprint=failed.fingerprint if failed else None,
        deleted_at=None,
        unreadable={},
    )


def _word(state: RunState, attempt: int, due: datetime | None, hold: str | None, at: datetime) -> str:
    if state is not RunState.QUEUED:
        return state.value
    if hold is not None:
        return str(hold)
    if due is None:
        return state.value
    if due <= at:
        return "ready"
    return "retrying" if attempt else "scheduled"
