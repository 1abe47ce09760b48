"""Queues, kinds, workers, dead letters, errors and statistics."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from admin_api.shapes.base import Because, Count, Seconds, Shape
from jobs.definition.options import MAX_RETAIN
from jobs.operations.insight.kinds import KindStatistics, KindSummary
from jobs.operations.insight.queues import QueueSummary
from jobs.states import RunState


class Pause(Shape):
    paused_at: datetime
    paused_until: datetime | None
    paused_by: str | None
    pause_reason: str | None


class NewPause(Because):
    """A pause: workers start no runs; running ones continue."""

    for_seconds: float | None = Field(None, gt=0, le=3e8, description="Resume automatically after this long.")
    is_new: bool = Field(False, description="Also if no queue or kind has this name.")


class NewWaitingLimit(Because):
    """How many runs may wait in a queue: an enqueue beyond is refused with 429 and `queue_full`."""

    max_waiting: int = Field(ge=1, le=10**9, examples=[100_000], description="How many runs may wait.")
    is_new: bool = Field(False, description="Also if no queue has this name.")


class WaitingLimit(Shape):
    max_waiting: int


RetainTime = Annotated[float, Field(gt=0, le=MAX_RETAIN.total_seconds())] | Literal["never", "clear"] | None


class NewRetention(Because):
    """How long ended runs of a queue are kept. At least one state; one that is not given, or null, stays as it is.

    `never` deletes none; `clear` removes what was set, so that `retain=` of the kind or the settings hold again.
    """

    succeeded_seconds: RetainTime = Field(None, examples=[604_800], description="Seconds, `never` or `clear`.")
    cancelled_seconds: RetainTime = Field(None, description="Seconds, `never` or `clear`.")
    dead_seconds: RetainTime = Field(None, examples=["never"], description="Seconds, `never` or `clear`.")
    is_new: bool = Field(False, description="Also if no queue has this name.")

    @property
    def times(self) -> dict[RunState, timedelta | Literal["never", "clear"]]:
        given = {
            RunState.SUCCEEDED: self.succeeded_seconds,
            RunState.CANCELLED: self.cancelled_seconds,
            RunState.DEAD: self.dead_seconds,
        }
        return {
            state: timedelta(seconds=time) if isinstance(time, float) else time
            for state, time in given.items()
            if time is not None
        }

    @model_validator(mode="after")
    def _has_a_state(self) -> NewRetention:
        if not self.times:
            raise ValueError("succeeded_seconds, cancelled_seconds, dead_seconds or several are needed")
        return self


class Retention(Shape):
    """How long runs of a queue that ended in one state are kept."""

    state: Literal["succeeded", "cancelled", "dead"]
    seconds: float | None = Field(description="After their end; null: for ever.")
    is_set: bool = Field(description="An operator set it. Else it is the settings', and `retain=` of a kind wins.")


class QueueCount(Shape):
    ready: int = 0
    scheduled: int = 0
    retrying: int = 0
    parked: int = Field(0, description="Held back by a limit, a rate or a breaker.")
    waiting: int = Field(0, description="They wait for other runs, for a signal, or for a moment that their job chose.")
    running: int = 0
    dead: int = 0
    oldest_seconds: float | None = Field(None, description="Time since its oldest ready run was due.")


class Queue(Shape):
    name: str = Field(examples=["payments"])
    counts: QueueCount
    pause: Pause | None
    workers: list[str]
    kinds: list[str] = Field(description="Kinds that its workers know.")
    target_seconds: float = Field(description="How long a ready run may wait before the queue is late.")
    max_waiting: int | None = Field(description="How many runs may wait; null: no limit.")
    retention: list[Retention] = Field(description="How long its ended runs are kept, by state.")

    @classmethod
    def of(cls, queue: QueueSummary) -> Queue:
        counts = QueueCount.model_validate(queue.count or {})
        pause = None if queue.pause is None else Pause.model_validate(queue.pause)
        return cls(
            name=queue.name, counts=counts, pause=pause, workers=queue.workers, kinds=queue.kinds,
            target_seconds=queue.target_seconds, max_waiting=queue.max_waiting,
            retention=[Retention.model_validate(one) for one in queue.retention],
        )  # fmt: skip


class RetryPolicy(Shape):
    max_attempts: int
    first: Seconds
    factor: float
    cap: Seconds
    jitter: Any
    within: Seconds | None
    retry_on: list[str]
    give_up_on: list[str]


class Definition(Shape):
    """The definition of a job class; spans in seconds."""

    kind: str
    doc: str | None
    aliases: list[str]
    queue: str
    priority: int
    timeout: Seconds | None
    unique: str | None
    schedules: list[str]
    version: int
    isolated: bool
    memory: int | None
    place: str
    retry: RetryPolicy
    arguments: dict[str, Any] = Field(description="A JSON Schema.")


class Kind(Shape):
    """A kind. `definition` is null if this process has not imported the job's module (`--import`)."""

    name: str = Field(examples=["ChargeCard"])
    definition: Definition | None
    pause: Pause | None
    workers: list[str] = Field(description="Live workers that know it.")

    @classmethod
    def of(cls, kind: KindSummary) -> Kind:
        return cls.model_validate(kind)


class KindDetail(Kind):
    runs: dict[str, Count] = Field(description="By state, counted to 10,000.")

    @classmethod
    def whole(cls, found: KindStatistics) -> KindDetail:
        runs = {state.value: Count.of(count) for state, count in found.runs.items()}
        return cls(**Kind.of(found.summary).model_dump(), runs=runs)


class Worker(Shape):
    name: str = Field(examples=["web-1/4711/0"])
    host: str
    pid: int
    supervisor: str
    version: str
    queues: list[str]
    kinds: list[str]
    threads: int
    busy: int
    started_at: datetime
    seen_at: datetime
    stopped_at: datetime | None
    stop_requested_at: datetime | None
    roll_requested_at: datetime | None
    problem: str | None = Field(description="What it currently fails at repeatedly, such as claims.")
    release: str | None = Field(description="The release of the application's code: JOBS_RELEASE of the worker.")


class WorkerStop(Because):
    name: str = Field(
        min_length=1, max_length=300, examples=["web-1/4711/0"], description="Its name, or a unique start of it."
    )


class DeadGroup(Shape):
    """Dead runs of one kind with one error."""

    fingerprint: str | None
    kind: str
    cause: str | None
    error_type: str | None
    error_message: str | None
    count: int
    first_at: datetime
    last_at: datetime


class ErrorGroup(Shape):
    """Runs with the same last error; `share` is their part of all failures in the period."""

    fingerprint: str
    kinds: str
    error_type: str | None
    error_message: str | None
    count: int
    dead: int
    share: float
    first_at: datetime
    last_at: datetime


class Minute(Shape):
    at: datetime
    succeeded: int
    failed: int
    other: int


class Latency(Shape):
    """Seconds, measured over the latest attempts."""

    kind: str
    queue: str
    attempts: int
    wait_p50: float | None
    wait_p95: float | None
    took_p50: float
    took_p95: float


class Oldest(Shape):
    """Ages in seconds."""

    ready: float | None
    ready_paused: float | None
    running: float | None
    dead: float | None


class Statistics(Shape):
    """The ledger's current state and its last hour. Figures may be a few seconds old."""

    counts: dict[str, Count] = Field(description="Runs by state, and by the parts of `queued`; counted to 10,000.")
    oldest: Oldest
    ended_in_5m: dict[str, int]
    workers: int = Field(description="Live worker processes.")
    threads: int
    busy: int
    throughput: list[Minute]
    throughput_is_capped: bool = Field(description="Too many attempts to read: the series starts later.")
    latencies: list[Latency]
