"""Arguments as the ledger stores them, page by page, for a check against the code. Read-only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Integer, Select, String, Text, Uuid, bindparam, cast, func, select, tuple_
from sqlalchemy.sql import ColumnElement

from jobs.database.models import JobFollowup, JobRun, JobSchedule, UtcDateTime
from jobs.database.sql import Executor
from jobs.ledger.queries.conditions import is_state
from jobs.states import FINAL, RunState

PAGE = 2000
"""Rows read at once. Source: decision; below a megabyte of short arguments."""
WINDOWS = 20
"""Spans of time from which a sample is taken. Source: decision; a release that ran for a twentieth is met."""


class StoredRun(NamedTuple):
    """The arguments of a run, as JSON text; a tuple, because a check reads a million."""

    id: UUID
    state_at: datetime
    created_at: datetime
    version: int
    arguments: str
    has_followups: bool


@dataclass(frozen=True, slots=True)
class StoredCall:
    """The arguments of a schedule or of a follow-up, with the name or the run that it belongs to."""

    owner: str
    kind: str
    version: int
    arguments: str
    created_at: datetime


Part = tuple[RunState, str, str]
"""The runs of one state, queue and kind, which one index holds in the order in which they entered the state."""


def part_counts(session: Executor, state: RunState) -> Iterator[tuple[tuple[str, str, str], int]]:
    """How many runs each part of this state has, by (state, queue, kind); in one pass over the runs of the state.

    A count of each queue and kind by itself reads the pages of the table again and again: for a million waiting runs of
    40 kinds it took 4.6 s of the server's processor time.
    """
    for queue, kind, number in session.execute(_counts(state)):
        yield (str(state), queue, kind), number


def sampled_runs(session: Executor, part: Part, *, count: int, most: int) -> Iterator[list[StoredRun]]:
    """Pages of a part's runs in index order: all ``count`` of them, or ``most`` from spans of time of equal length.

    Those of a span that has fewer than its share are taken from later spans.
    """
    if count <= most:
        yield from _pages(session, part, None, None, count)
        return
    first, last = (session.scalar(_edge(part[0], is_last), _names(part)) for is_last in (False, True))
    if first is None or last is None:
        return
    left, step = most, (last - first) / WINDOWS
    for window in range(WINDOWS):
        share = -(-left // (WINDOWS - window))
        # Many runs that were enqueued at once have one moment: they are all in the last span.
        until = first + step * (window + 1) if window + 1 < WINDOWS else None
        for page in _pages(session, part, first + step * window, until, share):
            left -= len(page)
            yield page


def followup_calls(session: Executor, run_ids: Sequence[UUID]) -> list[StoredCall]:
    """The follow-ups of these runs that are not enqueued yet."""
    rows = session.execute(
        select(JobFollowup.run_id, JobFollowup.kind, JobFollowup.run, JobFollowup.created_at)
        .where(JobFollowup.run_id.in_(list(run_ids)), JobFollowup.enqueued_at.is_(None))
    )  # fmt: skip
    return [
        StoredCall(str(owner), kind, run.get("arguments_version", 1), run.get("arguments", ""), created)
        for owner, kind, run, created in rows
        if isinstance(run, dict)
    ]


def schedule_calls(session: Executor, *, limit: int) -> list[StoredCall]:
    """The calls of the schedules that operators made, by name. The code writes its own schedules anew at its start."""
    rows = session.execute(
        select(
            JobSchedule.name,
            JobSchedule.kind,
            JobSchedule.arguments_version,
            cast(JobSchedule.arguments, Text),
            JobSchedule.changed_at,
        )
        .where(JobSchedule.owner == "operator")
        .order_by(JobSchedule.name)
        .limit(limit)
    )
    return [StoredCall(*row) for row in rows]


def _pages(
    session: Executor, part: Part, since: datetime | None, until: datetime | None, most: int
) -> Iterator[list[StoredRun]]:
    """At most ``most`` runs from ``since`` on, those at ``until`` excluded."""
    given: dict[str, Any] = {**_names(part), "since": since, "until": until, "last_at": None, "last_id": None}
    while most > 0:
        query = _page(part[0], since is not None, until is not None, given["last_id"] is not None)
        rows = session.execute(query, {**given, "most": min(PAGE, most)}).all()
        if rows:
            yield [StoredRun._make(row) for row in rows]
        if len(rows) < min(PAGE, most):
            return
        most -= len(rows)
        given |= {"last_at": rows[-1].state_at, "last_id": rows[-1].id}


def _names(part: Part) -> dict[str, Any]:
    return {"of_queue": part[1], "of_kind": part[2]}


def _of_part(state: RunState) -> list[ColumnElement[bool]]:
    """In the words of the partial indexes: those of waiting runs, and those of ended ones that lists show."""
    queue, kind = bindparam("of_queue", type_=String()), bindparam("of_kind", type_=String())
    return [*_of_state(state), JobRun.kind == kind, JobRun.queue == queue]


def _of_state(state: RunState) -> list[ColumnElement[bool]]:
    shown = [JobRun.finished_at.is_not(None), JobRun.deleted_at.is_(None)] if state in FINAL else []
    return [is_state(state), *shown]


@cache
def _counts(state: RunState) -> Select[*tuple[str, str, int]]:
    return select(JobRun.queue, JobRun.kind, func.count()).where(*_of_state(state)).group_by(JobRun.queue, JobRun.kind)


@cache
def _edge(state: RunState, is_last: bool) -> Select[Any]:
    place = (JobRun.state_at.desc(), JobRun.id.desc()) if is_last else (JobRun.state_at, JobRun.id)
    return select(JobRun.state_at).where(*_of_part(state)).order_by(*place).limit(1)


@cache
def _page(state: RunState, has_since: bool, has_until: bool, goes_on: bool) -> Select[*tuple[Any, ...]]:
    moment = {name: bindparam(name, type_=UtcDateTime()) for name in ("since", "until", "last_at")}
    which = _of_part(state)
    if goes_on:
        last = moment["last_at"], bindparam("last_id", type_=Uuid())
        which.append(tuple_(JobRun.state_at, JobRun.id) > tuple_(*last))
    elif has_since:
        which.append(JobRun.state_at >= moment["since"])
    if has_until:
        which.append(JobRun.state_at < moment["until"])
    return (
        select(
            JobRun.id,
            JobRun.state_at,
            JobRun.created_at,
            JobRun.arguments_version,
            cast(JobRun.arguments, Text).label("arguments"),
            JobRun.has_followups,
        )
        .where(*which)
        .order_by(JobRun.state_at, JobRun.id)
        .limit(bindparam("most", type_=Integer()))
    )
