"""Walk: the runs of a selector in order, a page at a time; and how many there are."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, Uuid, func, literal, select, tuple_

from jobs.ledger.selectors import Selector
from jobs.ledger.strands import Strand, strands_of
from jobs.models import JobRun, UtcDateTime
from jobs.sql import Executor

PAGE = 500
"""Keys read at once from a strand. Source: decision; constant memory, and a fraction of a second."""

Place = tuple[datetime, UUID]
"""Where a run stands in a list: when it entered its state, and its id."""


def places(
    session: Executor,
    selector: Selector,
    *,
    after: Place | None = None,
    newest_first: bool = False,
    page: int = PAGE,
    now: datetime | None = None,
) -> Iterator[Place]:
    """The places of the runs that match, in order, read a page at a time; ``after`` is where to go on."""
    walks = [_walk(session, strand, after, newest_first, page, now) for strand in strands_of(session, selector)]
    found: Iterator[Place] = heapq.merge(*walks, reverse=newest_first)
    for number, place in enumerate(found):
        if selector.limit is not None and number >= selector.limit:
            return
        yield place


def tally(session: Executor, selector: Selector, *, now: datetime | None = None) -> dict[tuple[str, str, str], int]:
    """How many runs match, by (state, queue, kind). Exact; ``limit`` is not looked at."""
    counted: dict[tuple[str, str, str], int] = {}
    for strand in strands_of(session, selector):
        rows = session.execute(
            select(JobRun.state, JobRun.queue, JobRun.kind, func.count())
            .where(*strand)
            .group_by(JobRun.state, JobRun.queue, JobRun.kind),
            {"now": now},
        )
        for state, queue, kind, number in rows:
            counted[state, queue, kind] = counted.get((state, queue, kind), 0) + number
    return counted


@dataclass(frozen=True, slots=True)
class Count:
    """How many; where ``is_capped``, that many and more. Written as people read it: ``1,234`` or ``10,000+``."""

    number: int
    is_capped: bool = False

    def __str__(self) -> str:
        return f"{self.number:,}{'+' if self.is_capped else ''}"


def count_up_to(session: Executor, selector: Selector, *, most: int, now: datetime | None = None) -> Count:
    """How many runs match, counted to ``most`` and no further: the cost is that of ``most`` rows at worst, but for
    words that look at each run."""
    number = 0
    for strand in strands_of(session, selector):
        some = select(JobRun.id).where(*strand).limit(most + 1 - number).subquery()
        number += session.scalar(select(func.count()).select_from(some), {"now": now}) or 0
        if number > most:
            return Count(most, True)
    return Count(number)


def _walk(
    session: Executor, strand: Strand, after: Place | None, newest_first: bool, page: int, now: datetime | None
) -> Iterator[Place]:
    while True:
        rows = session.execute(_page_of(strand, after, newest_first, page), {"now": now}).all()
        for row in rows:
            yield (row[0], row[1])
        if len(rows) < page:
            return
        after = (rows[-1][0], rows[-1][1])


def _page_of(strand: Strand, after: Place | None, newest_first: bool, page: int) -> Select[datetime, UUID]:
    query = select(JobRun.state_at, JobRun.id).where(*strand)
    here = tuple_(JobRun.state_at, JobRun.id)
    if after is not None:
        there = tuple_(literal(after[0], UtcDateTime()), literal(after[1], Uuid()))
        query = query.where(here < there if newest_first else here > there)
    if newest_first:
        return query.order_by(JobRun.state_at.desc(), JobRun.id.desc()).limit(page)
    return query.order_by(JobRun.state_at, JobRun.id).limit(page)
