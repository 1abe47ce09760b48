"""Actions of operators, and requests for bulk actions."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from admin_api.http.run_query import Selection
from admin_api.shapes.base import Given, Name, Reason, Shape
from admin_api.shapes.runs import AN_ID, Run
from jobs.ledger.operators.audit import AuditEntry
from jobs.operations.bulk.action import ActionPlan as Planned

State = Literal["running", "finished", "interrupted", "failed", "lost"]


class Bulk(Given):
    """A bulk action. Check it first: `dry_run` counts and shows the runs; `expect` refuses any other count."""

    selector: Selection
    dry_run: bool = Field(False, description="Count and show the runs, change nothing.")
    expect: int | None = Field(None, ge=0, le=10**9, description="Refuse unless exactly this many runs match.")
    rate: float | None = Field(None, gt=0, lt=1e9, description="At most this many runs a second.")
    reason: Reason = None
    resume: UUID | None = Field(None, description="Continue this stopped action; send its other fields unchanged.")


class NewReplay(Bulk):
    """Replays dead runs with a new retry budget. With `set`, and for succeeded runs, it makes new runs."""

    set: dict[str, Any] = Field({}, max_length=100, description="Arguments to change: `field` or `field.inner`.")
    queue: str | None = Field(None, max_length=100, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.:\-]*$")
    priority: int | None = Field(None, ge=-1000, le=1000)
    delay_seconds: float | None = Field(None, ge=0, le=3e9)
    reset_steps: bool = Field(False, description="Do the steps again, instead of keeping their results.")
    from_step: str | None = Field(
        None, min_length=1, max_length=200, description="Keep the steps that began before this one; do the rest again."
    )


class NewCancellation(Bulk):
    """Cancels unfinished runs: waiting ones at once; workers interrupt running ones."""


class NewPurge(Bulk):
    """Hides finished runs until they are pruned. `erase` deletes their arguments, results and errors permanently."""

    erase: bool = False


class NewRestoration(Bulk):
    """Restores purged runs."""


class Group(Shape):
    kind: Name
    state: str
    count: int


class Plan(Shape):
    """The plan of an action."""

    dry_run: Literal[True] = True
    verb: str = Field(examples=["replay"])
    count: int = Field(description="The exact number of matching runs.", examples=[214])
    groups: list[Group]
    sample: list[Run] = Field(description="The oldest of them.")

    @classmethod
    def of(cls, plan: Planned, now: datetime) -> Plan:
        return cls(
            verb=plan.verb,
            count=plan.count,
            groups=[Group(kind=kind, state=state, count=count) for kind, state, count in plan.groups],
            sample=[Run.of(one, now) for one in plan.sample],
        )


class Action(Shape):
    """An action of an operator, with its progress."""

    id: UUID = Field(examples=[AN_ID])
    verb: str = Field(examples=["replay"])
    actor: str = Field(examples=["ada"])
    target: str = Field(examples=["runs"])
    selector: Any
    options: Any
    reason: str | None
    state: State = Field(description="`lost`: it was running when its process died; `resume` continues it.")
    started_at: datetime
    seen_at: datetime | None = Field(description="End of its last batch.")
    finished_at: datetime | None
    expected: int = Field(examples=[214])
    done: int = Field(examples=[200])
    skipped: int
    before: Any
    after: Any
    undoes: UUID | None
    undone_by: UUID | None
    request_id: str | None

    @classmethod
    def of(cls, action: dict[str, Any], state: str) -> Action:
        return cls.model_validate({**action, "state": state})


class ActedOn(Shape):
    """The effect of an action on one run: fields before and after, or the reason for skipping it."""

    run_id: UUID
    skipped: str | None
    new_run_id: UUID | None
    before: Any
    after: Any

    @classmethod
    def of(cls, note: AuditEntry) -> ActedOn:
        return cls.model_validate(note)
