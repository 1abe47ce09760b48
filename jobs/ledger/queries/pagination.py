"""Pages of the runs that a selector matches, in order, and their number."""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    String,
    Uuid,
    and_,
    bindparam,
    func,
    literal,
    literal_column,
    select,
    true,
    tuple_,
    union_all,
)

from jobs.database.models import JobRun, UtcDateTime
from jobs.database.sql import Executor, RowBatch, dialect_of, ledger_now
from jobs.ledger.history_spans import HOT, RECENT, Source, SourceShape, history_read_by, in_turn
from jobs.ledger.queries.find import RUN_COLUMNS, run_of
from jobs.ledger.queries.plan_parts import PartGroup, PlanPart, may_be_in_history, part_groups_of, plan_parts_of
from jobs.ledger.queries.selectors import Selector
from jobs.ledger.run_records import RunRecord

PAGE = 500
"""Keys read at once from a plan part. Source: decision; constant memory, and a fraction of a second."""

TERMS = 20
"""Most plan parts, or groups of them, in one statement. Source: decision; SQLite's limit is 500."""
_NAMES = RowBatch("named", state=String(), queue=String(), kind=String())

Place = tuple[datetime, UUID]
"""The position of a run in a list: when it entered its state, and its id."""
After = tuple[ColumnElement[datetime], ColumnElement[UUID]]
"""The same, as SQL expressions."""


def places(
    session: Executor,
    selector: Selector,
    *,
    after: Place | None = None,
    newest_first: bool = False,
    page: int = PAGE,
    now: datetime | None = None,
) -> Iterator[Place]:
    """The positions of the matching runs, in order, read a page at a time; ``after`` continues a list."""
    walks = [_paginate(session, part, after, newest_first, page, now) for part in plan_parts_of(session, selector)]
    found: Iterator[Place] = heapq.merge(*walks, reverse=newest_first)
    for number, place in enumerate(found):
        if selector.limit is not None and number >= selector.limit:
            return
        yield place


def newest(
    session: Executor, selector: Selector, *, after: Place | None = None, limit: int, now: datetime | None = None
) -> list[RunRecord]:
    """The ``limit`` latest matching runs, or those after ``after``; usually by one statement.

    With history, one for the hot tables, and one for each span of history that may have runs of the page. Within
    ``Database.read_both`` they all see the same rows.
    """
    found: dict[UUID, RunRecord] = {}
    floor: datetime | None = None
    for source in _sources(session, selector, after):
        if source is not HOT and floor is not None and source.end is not None and source.end <= floor:
            break
        runs, moment = _newest_in(session, selector, source, after, limit, floor, now)
        found |= {run.id: run for run in runs if run.id not in found}
        page = sorted(found.values(), key=place_of, reverse=True)[:limit]
        if len(page) == limit:
            floor = page[-1].state_at
            if moment is not None and floor > moment - RECENT:
                break
    return sorted(found.values(), key=place_of, reverse=True)[:limit]


def _newest_in(
    session: Executor,
    selector: Selector,
    source: Source,
    after: Place | None,
    limit: int,
    floor: datetime | None,
    now: datetime | None,
) -> tuple[list[RunRecord], datetime | None]:
    """The runs of a page in one source, none before ``floor``, and the ledger's moment if there is history."""
    given = {
        **({"after_at": after[0], "after_id": after[1]} if after else {}),
        **({"floor": floor} if floor else {}),
        **source.given,
        "now": now,
    }
    found: list[RunRecord] = []
    moment: datetime | None = None
    form = _Form(source.shape, limit, after is not None, floor is not None, history_read_by(session) is not None)
    for shape in _in_turn(session, selector, source):
        build = _newest if shape.key is not None else _newest.__wrapped__
        rows = session.execute(build(shape, form), {**_names_of(shape.groups), **given}).all()
        if form.tells_moment:
            moment = rows[0][-1] if rows else None
        found += [run_of(row[:-1] if form.tells_moment else row) for row in rows]
    return found, moment


def place_of(run: RunRecord) -> Place:
    """The run's position in a list."""
    return run.state_at, run.id


@dataclass(frozen=True, slots=True)
class _Shape:
    """Part groups in one statement: equal shapes have the same statement, whatever the names are."""

    key: Hashable | None
    groups: list[PartGroup] = field(compare=False)


@dataclass(frozen=True, slots=True)
class _Form:
    """What else the statement of a page depends on."""

    source: SourceShape
    limit: int
    goes_on: bool
    has_floor: bool
    tells_moment: bool


@lru_cache(maxsize=256)
def _newest(shape: _Shape, form: _Form) -> Select[Any]:
    """Cached, because building it takes longer than the database takes to answer."""
    after = (bindparam("after_at", type_=UtcDateTime()), bindparam("after_id", type_=Uuid())) if form.goes_on else None
    # Conditions on the time alone, by which PostgreSQL leaves out partitions.
    is_history, bounds = form.source.place == "history", [*form.source.bounds]
    if is_history and after is not None:
        bounds.append(JobRun.state_at <= after[0])
    if form.has_floor:
        bounds.append(JobRun.state_at >= bindparam("floor", type_=UtcDateTime()))
    groups = [replace(one, conditions=[*one.conditions, *bounds]) for one in shape.groups]
    every = _together([_term(one, after, form.limit) for one in groups])
    latest = every.c.state_at.desc(), every.c.id.desc()
    page = select(every.c.state_at, every.c.id).order_by(*latest).limit(form.limit).subquery("page")
    is_same = and_(JobRun.id == page.c.id, *((JobRun.state_at == page.c.state_at, *bounds) if is_history else ()))
    moment = [ledger_now()] if form.tells_moment else []
    rows = select(*RUN_COLUMNS, *moment).join_from(page, JobRun, is_same)
    rows = rows.order_by(page.c.state_at.desc(), page.c.id.desc())
    return rows.execution_options(**form.source.options)


def tally(session: Executor, selector: Selector, *, now: datetime | None = None) -> dict[tuple[str, str, str], int]:
    """How many runs match, by (state, queue, kind). Exact; ignores ``limit``."""
    counted: dict[tuple[str, str, str], int] = {}
    for part in plan_parts_of(session, selector):
        rows = session.execute(
            select(JobRun.state, JobRun.queue, JobRun.kind, func.count())
            .where(*part)
            .group_by(JobRun.state, JobRun.queue, JobRun.kind),
            {"now": now},
        )
        for state, queue, kind, number in rows:
            counted[state, queue, kind] = counted.get((state, queue, kind), 0) + number
    return counted


@dataclass(frozen=True, slots=True)
class RunCount:
    """A number of runs; with ``is_capped``, at least that many. Shown as ``1,234`` or ``10,000+``."""

    number: int
    is_capped: bool = False

    def __str__(self) -> str:
        return f"{self.number:,}{'+' if self.is_capped else ''}"


def count_up_to(session: Executor, selector: Selector, *, most: int, now: datetime | None = None) -> RunCount:
    """How many runs match, counted up to ``most``.

    Costs at most ``most`` rows, unless the selector has conditions that must look at each run.
    """
    number = 0
    for source in _sources(session, selector, None):
        for shape in _in_turn(session, selector, source):
            every = _together([_term(one, None, most + 1, is_ordered=False) for one in shape.groups])
            counted = select(every.c.id).limit(most + 1 - number).subquery()
            query = select(func.count()).select_from(counted).execution_options(**source.shape.options)
            given = {**_names_of(shape.groups), **source.given, "now": now}
            number += session.scalar(query, given) or 0
            if number > most:
                return RunCount(most, True)
    return RunCount(number)


def _sources(session: Executor, selector: Selector, after: Place | None) -> Iterator[Source]:
    """The hot tables, and then the spans of history, the latest first, where matching runs may be."""
    history = history_read_by(session) if may_be_in_history(selector) else None
    latest = [one for one in (selector.until, after[0] if after else None) if one is not None]
    return in_turn(session, history, before=min(latest, default=None), since=selector.since)


def _in_turn(session: Executor, selector: Selector, source: Source) -> Iterator[_Shape]:
    """The part groups of a selector in one source, as many at a time as fit in one statement."""
    groups = part_groups_of(session, selector, source)
    dialect = dialect_of(session)
    if dialect == "sqlite":
        # SQLite has no LATERAL.
        groups = [PartGroup(part) for group in groups for part in group.plan_parts]
    for start in range(0, len(groups), TERMS):
        some = groups[start : start + TERMS]
        parts = tuple((one.state, bool(one.names)) for one in some)
        # If the state does not define a part, its conditions contain values read from the ledger.
        is_told = all(state is not None for state, _ in parts)
        yield _Shape((selector, parts) if is_told else None, some)


def _together(terms: Sequence[Select[datetime, UUID]]) -> FromClause:
    return (terms[0] if len(terms) == 1 else union_all(*terms)).subquery("every")


def _term(group: PartGroup, after: After | None, limit: int, *, is_ordered: bool = True) -> Select[datetime, UUID]:
    """The first ``limit`` positions of each plan part of a part group, in a form that fits in a union."""
    if not group.names:
        each = _page_of(group.conditions, after, True, limit, is_ordered).subquery()
        return select(each.c.state_at, each.c.id)
    assert group.state is not None
    names = _NAMES.table("postgresql")
    part = [*group.conditions, JobRun.queue == names.c.queue, JobRun.kind == names.c.kind]
    one = _page_of(part, after, True, limit, is_ordered).correlate(names).lateral()
    return select(one.c.state_at, one.c.id).select_from(names.join(one, true())).where(
        names.c.state == literal_column(f"'{group.state.value}'")
    )  # fmt: skip


def _names_of(groups: Sequence[PartGroup]) -> dict[str, Any]:
    rows = [(one.state.value, *name) for one in groups if one.state for name in one.names]
    return _NAMES.rows("postgresql", rows) if rows else {}


def _paginate(
    session: Executor, part: PlanPart, after: Place | None, newest_first: bool, page: int, now: datetime | None
) -> Iterator[Place]:
    while True:
        there = (literal(after[0], UtcDateTime()), literal(after[1], Uuid())) if after else None
        rows = session.execute(_page_of(part, there, newest_first, page), {"now": now}).all()
        for row in rows:
            yield (row[0], row[1])
        if len(rows) < page:
            return
        after = (rows[-1][0], rows[-1][1])


def _page_of(
    part: PlanPart, after: After | None, newest_first: bool, page: int, is_ordered: bool = True
) -> Select[datetime, UUID]:
    query = select(JobRun.state_at, JobRun.id).where(*part)
    here = tuple_(JobRun.state_at, JobRun.id)
    if after is not None:
        there = tuple_(*after)
        query = query.where(here < there if newest_first else here > there)
    if not is_ordered:
        return query.limit(page)
    if newest_first:
        return query.order_by(JobRun.state_at.desc(), JobRun.id.desc()).limit(page)
    return query.order_by(JobRun.state_at, JobRun.id).limit(page)
