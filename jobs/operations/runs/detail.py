"""One run with everything that belongs to it, in pages where it may be long."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar
from uuid import UUID

from jobs.app import App
from jobs.definition.redaction import HIDDEN
from jobs.ledger.effects import followups, steps
from jobs.ledger.effects.steps import StepRecord
from jobs.ledger.queries import find, lineage
from jobs.ledger.run_records import AttemptRecord, RunRecord
from jobs.operations.audit import actions
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.runs.inspect import shown, shown_attempts, shown_whole
from jobs.sealing.values import masked

T = TypeVar("T")
K = TypeVar("K")
FIRST = 20
"""Items per list in a detail. Source: decision; a screenful."""


@dataclass(frozen=True, slots=True)
class DetailPage(Generic[T, K]):
    """A page of a list. ``next_after`` requests the next page; None at the end."""

    items: list[T]
    next_after: K | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """A run with everything that belongs to it: of each list the first page.

    Attributes:
        origins: ``parent``, ``root`` and ``replayed_from``, if the run has them and they still exist.
        attempts: latest first.
        steps: in the order in which they began.
        children: runs that it enqueued, first to last.
        replays: new runs that were made by replaying it, first to last.
        followups: runs enqueued when it ends: ``id``, ``kind``, ``on_state`` and ``enqueued_at`` (None: not yet).
        actions: what operators did to it, latest first; empty for an operator who may not read the audit.
    """

    run: RunRecord
    origins: dict[str, RunRecord]
    attempts: DetailPage[AttemptRecord, int]
    steps: DetailPage[StepRecord, str]
    children: DetailPage[RunRecord, UUID]
    replays: DetailPage[RunRecord, UUID]
    followups: DetailPage[dict[str, Any], UUID]
    actions: list[dict[str, Any]]


def detail(app: App, operator: Operator, text: str, *, limit: int = FIRST) -> Detail:
    """The run that ``text`` identifies, with its lists.

    Raises:
        NotFound: it identifies none.
        Ambiguous: it identifies several.
    """
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        run = find.find_named(connection, text)
        run_id = run.id
        origins = lineage.origins(connection, run)
    return Detail(
        run=shown_whole(app, run, operator),
        origins={name: shown(one, operator) for name, one in origins.items()},
        attempts=attempts_of(app, operator, run_id, limit=limit),
        steps=steps_of(app, operator, run_id, limit=limit),
        children=children_of(app, operator, run_id, limit=limit),
        replays=replays_of(app, operator, run_id, limit=limit),
        followups=followups_of(app, operator, run_id, limit=limit),
        actions=actions.of_run(app, operator, run_id, limit=limit),
    )


def attempts_of(
    app: App, operator: Operator, run_id: UUID, *, after: int | None = None, limit: int = FIRST
) -> DetailPage[AttemptRecord, int]:
    """The attempts of a run, latest first; ``after`` is the last number of the previous page."""
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        found = find.list_attempts(connection, run_id, before=after, limit=limit + 1)[::-1]
    return part_of(shown_attempts(found, operator), limit, lambda one: one.attempt)


def steps_of(
    app: App, operator: Operator, run_id: UUID, *, after: str | None = None, limit: int = FIRST
) -> DetailPage[StepRecord, str]:
    """The steps and cursors of a run, in the order in which they began; ``after`` is the last name of a page."""
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        found = steps.list_steps(connection, run_id, after=after, limit=limit + 1)
    if not operator.may(Permission.ARGUMENTS_READ):
        found = [replace(one, result=HIDDEN) for one in found]
    else:
        found = [replace(one, result=masked(one.result)) for one in found]
    return part_of(found, limit, lambda one: one.name)


def children_of(
    app: App, operator: Operator, run_id: UUID, *, after: UUID | None = None, limit: int = FIRST
) -> DetailPage[RunRecord, UUID]:
    """The runs that a run enqueued, first to last; ``after`` is the last id of the previous page."""
    return _runs_of(app, operator, lineage.children, run_id, after=after, limit=limit)


def replays_of(
    app: App, operator: Operator, run_id: UUID, *, after: UUID | None = None, limit: int = FIRST
) -> DetailPage[RunRecord, UUID]:
    """The new runs that replays of a run made, first to last; ``after`` is the last id of the previous page."""
    return _runs_of(app, operator, lineage.replays, run_id, after=after, limit=limit)


def _runs_of(
    app: App,
    operator: Operator,
    read: Callable[..., Sequence[RunRecord]],
    run_id: UUID,
    *,
    after: UUID | None,
    limit: int,
) -> DetailPage[RunRecord, UUID]:
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        found = read(connection, run_id, after=after, limit=limit + 1)
    return part_of([shown(one, operator) for one in found], limit, lambda one: one.id)


def followups_of(
    app: App, operator: Operator, run_id: UUID, *, after: UUID | None = None, limit: int = FIRST
) -> DetailPage[dict[str, Any], UUID]:
    """The follow-ups of a run, enqueued or not; ``after`` is the last id of the previous page."""
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        found = followups.list_followups(connection, run_id, after=after, limit=limit + 1)
    return part_of(found, limit, lambda one: one["id"])


def part_of(found: Sequence[T], limit: int, place: Callable[[T], K]) -> DetailPage[T, K]:
    """Splits a list with one item more than requested: the page, and where the next begins."""
    items = list(found[:limit])
    return DetailPage(items, place(items[-1]) if len(found) > limit else None)
