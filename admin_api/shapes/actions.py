"""What operators did, and what they ask to be done to many runs."""

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
    """A bulk action. Look first: `dry_run` counts and shows; `expect` refuses any other count."""

    selector: Selection
    dry_run: bool = Field(False, description="Count and show, change nothing.")
    expect: int | None = Field(None, ge=0, le=10**9, description="Refuse unless exactly so many runs match.")
    rate: float | None = Field(None, gt=0, lt=1e9, description="At most so many runs a second.")
    reason: Reason = None
    resume: UUID | None = Field(None, description="Go on with this action, which stopped; the rest as it was asked.")


class NewReplay(Bulk):
    """Dead runs again, with a fresh budget; with `set`, and of those that succeeded, as new runs."""

    set: dict[str, Any] = Field({}, max_length=100, description="Arguments to change: `field` or `field.inner`.")
    queue: str | None = Field(None, max_length=100, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.:\-]*$")
    priority: int | None = Field(None, ge=-1000, le=1000)
    delay_seconds: float | None = Field(None, ge=0, le=3e9)
    reset_steps: bool = Field(False, description="Do again what steps have done.")


class NewCancellation(Bulk):
    """Live runs cancelled: at once if they wait; if they run, their jobs are interrupted."""


class NewPurge(Bulk):
    """Runs that have ended hidden, until they are pruned; with `erase`, what they say of people blanked for good."""

    erase: bool = False


class NewRestoration(Bulk):
    """Purged runs brought back."""


class Group(Shape):
    kind: Name
    state: str
    count: int


class Plan(Shape):
    """What an action would do."""

    dry_run: Literal[True] = True
    verb: str = Field(examples=["replay"])
    count: int = Field(description="Runs that match, exactly.", examples=[214])
    groups: list[Group]
    sample: list[Run] = Field(description="The oldest few.")

    @classmethod
    def of(cls, plan: Planned, now: datetime) -> Plan:
        return cls(
            verb=plan.verb,
            count=plan.count,
            groups=[Group(kind=kind, state=state, count=count) for kind, state, count in plan.groups],
            sample=[Run.of(one, now) for one in plan.sample],
        )


class Action(Shape):
    """What an operator did, or is having done: how far it is, its counts say."""

    id: UUID = Field(examples=[AN_ID])
    verb: str = Field(examples=["replay"])
    actor: str = Field(examples=["ada"])
    target: str = Field(examples=["runs"])
    selector: Any
    options: Any
    reason: str | None
    state: State = Field(description="`lost`: it says that it runs, and its process is gone; `resume` goes on.")
    started_at: datetime
    seen_at: datetime | None = Field(description="When a batch of it was last done.")
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
    """What an action did to one run, or why it did not: its moving parts before and after."""

    run_id: UUID
    skipped: str | None
    new_run_id: UUID | None
    before: Any
    after: Any

    @classmethod
    def of(cls, note: AuditEntry) -> ActedOn:
        return cls.model_validate(note)
