"""Runs, with their attempts, steps and lineage."""

from __future__ import annotations

from datetime import datetime
from operator import attrgetter
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from admin_api.shapes.base import Given, Moment, Name, Reason, Shape
from jobs.ledger.run_records import RunRecord
from jobs.operations.effects.listing import Effect as FoundEffect
from jobs.operations.runs.detail import Detail
from jobs.operations.runs.explain import Explanation
from jobs.operations.runs.inspect import state_word

AN_ID = "0199f4c2-a7d8-7b3c-9a52-3f1de0c9165b"


class Run(Shape):
    """A run. Arguments, result, progress and error message are `(hidden)` without `arguments:read`."""

    id: UUID = Field(examples=[AN_ID])
    kind: str = Field(examples=["ChargeCard"])
    queue: str = Field(examples=["payments"])
    priority: int = Field(description="Smaller first.")
    state: str = Field(description="`queued`, `running`, `succeeded`, `dead` or `cancelled`.", examples=["dead"])
    word: str = Field(
        description="The state; for `queued` its part: `ready`, `scheduled`, `retrying`, `parked` or `waiting`."
    )
    cause: str | None = Field(description="Cause of death.", examples=["exhausted"])
    attempt: int = Field(description="Attempts started.")
    charged: int = Field(description="Attempts charged to the retry budget.")
    crashes: int
    abandonments: int = Field(description="How often its worker died.")
    max_attempts: int
    run_at: datetime = Field(description="When it is or was due.")
    hold: str | None = Field(description="Why it is held back, if it is: `parked` or `waiting`.")
    held_at: datetime | None = Field(description="Held back since.")
    held_on: str | None = Field(description="What it is held on.", examples=["limit:stripe"])
    held_until: datetime | None = Field(description="When it is ready by itself; null: not by time alone.")
    expires_at: datetime | None
    key: str | None
    worker: str | None
    lease_until: datetime | None
    cancel_requested_at: datetime | None
    cancel_reason: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    state_at: datetime = Field(description="When it entered its present state.")
    arguments: Any = Field(examples=[{"order_id": 7}])
    arguments_version: int
    result: Any
    progress: Any
    error_type: str | None = Field(examples=["shop.CardDeclined"])
    error_message: str | None
    fingerprint: str | None = Field(description="Its error group.")
    tags: Any
    correlation_id: str | None
    enqueued_by: str | None
    parent_id: UUID | None
    root_id: UUID | None
    replayed_from: UUID | None
    schedule: str | None
    scheduled_for: datetime | None
    deleted_at: datetime | None = Field(description="When it was purged.")
    unreadable: dict[str, str] = Field(
        description="Fields with an unreadable stored value, and that value as text; ignore the field itself."
    )

    @classmethod
    def of(cls, run: RunRecord, now: datetime) -> Run:
        return cls.of_values({**dict(zip(_OF_RECORD, _values(run), strict=True)), "word": state_word(run, now=now)})


_OF_RECORD = tuple(name for name in Run.model_fields if name != "word")
_values = attrgetter(*_OF_RECORD)


class Attempt(Shape):
    run_id: UUID
    attempt: int
    outcome: str = Field(examples=["failed"])
    worker: str | None
    started_at: datetime
    finished_at: datetime
    retry_at: datetime | None
    error_type: str | None
    error_message: str | None
    traceback: str | None
    fingerprint: str | None
    refused_at: datetime | None = Field(description="When its late result was refused.")
    refused_outcome: str | None
    unreadable: dict[str, str] = Field(description="As for a run.")


class LogLine(Shape):
    """A line that an attempt kept. Its text is `(hidden)` without `arguments:read`."""

    attempt: int
    number: int = Field(description="Counts from 1 in its attempt; lines between that are missing are not kept.")
    at: datetime = Field(description="By the worker's clock.")
    level: str = Field(examples=["INFO"])
    source: str = Field(description="`run`, the name of a logger, `stdout` or `stderr`.", examples=["run"])
    text: str = Field(examples=["charged 7"])


class Step(Shape):
    run_id: UUID
    name: str
    form: str = Field(description="`effect`, `cursor`, `wait`, `sleep` or `gather`.")
    attempt: int
    started_at: datetime
    finished_at: datetime | None
    result: Any


class NewSignal(Given):
    """A signal to send. Of several with one name the first counts."""

    name: Name = Field(examples=["approval"])
    payload: Any = Field(None, description="Any JSON value.", examples=[{"by": "ada"}])
    reason: Reason = None


class SentSignal(Shape):
    run_id: UUID = Field(validation_alias="id")
    is_first: bool = Field(description="Whether this payload is the one that counts.")


class Signal(Shape):
    """A signal of a run. Its payload is `(hidden)` without `arguments:read`."""

    run_id: UUID
    name: str
    payload: Any
    sent_at: datetime
    sent_by: str | None


class Effect(Shape):
    """An effect of a run."""

    run_id: UUID = Field(examples=[AN_ID])
    kind: Name = Field(examples=["ChargeCard"])
    state: str = Field(description="The state of the run.", examples=["dead"])
    step: str = Field(examples=["charge"])
    effect: Literal["done", "unknown", "under way"] = Field(
        description="`unknown`: it began and has no end, and no attempt is under way."
    )
    attempt: int = Field(description="The attempt that began it.")
    started_at: datetime
    finished_at: datetime | None
    result: Any

    @classmethod
    def of(cls, effect: FoundEffect) -> Effect:
        run, step = effect.run, effect.step
        return cls(
            run_id=run.id,
            kind=run.kind,
            state=run.state.value,
            step=step.name,
            effect=effect.word,
            attempt=step.attempt,
            started_at=step.started_at,
            finished_at=step.finished_at,
            result=step.result,
        )


class NewResolution(Given):
    """What was found out about an unknown effect."""

    step: Name = Field(examples=["charge"])
    took_place: bool = Field(description="Whether the effect took place.", examples=[True])
    result: Any = Field(None, description="What the effect returned, if it took place.", examples=[{"id": 7}])
    reopen: bool = Field(True, description="Reopen the run if it is dead.")
    reason: Reason = None


class Resolution(Shape):
    """What was recorded."""

    action_id: UUID = Field(description="Its audit entry, which can be undone until the run is performed.")
    run_id: UUID
    step: str
    took_place: bool
    is_reopened: bool
    unknown: list[str] = Field(description="Further unknown effects of the run. With any, it is not reopened.")


class FollowUp(Shape):
    id: UUID
    kind: str
    on_state: str
    enqueued_at: datetime | None


class Lineage(Shape):
    """The lineage of a run: its ancestors, and its first children and replays."""

    parent: Run | None = None
    root: Run | None = None
    replayed_from: Run | None = None
    children: list[Run]
    replays: list[Run]
    followups: list[FollowUp]

    @classmethod
    def of(cls, detail: Detail, now: datetime) -> Lineage:
        return cls(
            **{name: Run.of(run, now) for name, run in detail.origins.items()},
            children=[Run.of(one, now) for one in detail.children.items],
            replays=[Run.of(one, now) for one in detail.replays.items],
            followups=[FollowUp.model_validate(one) for one in detail.followups.items],
        )


class Evidence(Shape):
    name: str
    value: Any


class Why(Shape):
    """The reason for a run's state."""

    code: str = Field(description="Stable.", examples=["queue_paused"])
    sentence: str = Field(examples=["Its queue payments is paused by ada: provider is down."])
    evidence: list[Evidence]

    @classmethod
    def of(cls, found: Explanation) -> Why:
        evidence = [Evidence(name=name, value=value) for name, value in found.evidence]
        return cls(code=found.code, sentence=found.sentence, evidence=evidence)


class RunToEnqueue(Given):
    """A kind, its arguments, and the options of the run."""

    kind: Name = Field(examples=["ChargeCard"])
    arguments: dict[str, Any] = Field({}, examples=[{"order_id": 7}])
    queue: str | None = Field(None, max_length=100, description="Overrides the job's queue.")
    priority: int | None = Field(
        None, ge=-1000, le=1000, description="Overrides the job's priority; smaller numbers run first."
    )
    delay_seconds: float | None = Field(None, ge=0, le=3e9, description="Delay the run by this long.")
    at: Moment | None = Field(None, description="Not before this moment.")
    key: str | None = Field(
        None, max_length=255, description="While a run holds it, no second run of the kind is enqueued."
    )
    on_conflict: Literal["keep", "replace"] = "keep"
    expires_seconds: float | None = Field(
        None, gt=0, le=3e9, description="The run dies as `expired` if it has not started by then."
    )
    tags: list[str] = Field([], max_length=100)


class NewRun(RunToEnqueue):
    """A run to enqueue. The kind's job checks its arguments: see `/v1/kinds/{name}`."""

    reason: Reason = None


class NewFollowUp(Given):
    """A run that is enqueued when another one ends."""

    kind: Name = Field(examples=["SendReceipt"])
    arguments: dict[str, Any] = Field({}, examples=[{"order_id": 7}])


class NewBulkRun(RunToEnqueue):
    """A run of a bulk. If this server does not know the kind, the options and fields that workers published count."""

    on_success: list[NewFollowUp] = Field([], max_length=20, description="Enqueued when the run succeeds.")
    on_dead: list[NewFollowUp] = Field([], max_length=20, description="Enqueued when the run dies.")
    on_cancelled: list[NewFollowUp] = Field([], max_length=20, description="Enqueued when the run is cancelled.")


class NewRuns(Given):
    """Runs to enqueue together: all of them, or none."""

    runs: list[NewBulkRun] = Field(
        min_length=1, max_length=1000, examples=[[{"kind": "ChargeCard", "arguments": {"order_id": 7}}]]
    )
    reason: Reason = None


class Enqueued(Shape):
    """The run, and whether it is new or already held the key."""

    id: UUID = Field(examples=[AN_ID])
    created: bool
