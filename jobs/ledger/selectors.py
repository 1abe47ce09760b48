"""Selectors: which runs a list shows and a bulk action takes. One meaning for all of them.

A selector is walked in *strands*, each of which one index answers in the order of ``state_at``: the ids, the
fingerprints, keys or parents that were named, else the runs of each state; those that have ended lie by
(state, queue, kind). The strands are merged, so that a million succeeded runs are never read to find ten
dead ones. ``tags``, ``arguments``, ``errors`` and patterns in keys are looked at row by row within the strands
that the rest names.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    Uuid,
    and_,
    case,
    cast,
    func,
    literal,
    literal_column,
    or_,
    select,
    tuple_,
)
from sqlalchemy import String as SaString
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from jobs.models import JobRun, UtcDateTime
from jobs.sql import Executor, dialect_of, ledger_now
from jobs.states import FINAL, RunState

PAGE = 500
"""Keys read at once from a strand. Source: decision; constant memory, and a fraction of a second."""

WAITING = ("ready", "scheduled", "retrying")
"""Words for parts of ``queued``: due; not due and never tried; not due and tried."""
STATE_WORDS = (*(str(state) for state in RunState), *WAITING)

Place = tuple[datetime, UUID]
"""Where a run stands in a list: when it entered its state, and its id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """Which runs are meant: each field narrows, the values of one are alternatives; tags and arguments all hold.

    Kinds, queues, keys and errors may hold ``*`` and ``?``. ``since`` and ``until`` bound when the run entered its
    present state. ``limit`` takes the oldest. ``purged`` means purged runs instead of the others.
    """

    ids: tuple[UUID, ...] = ()
    kinds: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    fingerprints: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    arguments: tuple[tuple[str, str], ...] = ()
    attempts: tuple[tuple[str, int], ...] = ()
    parents: tuple[UUID, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    limit: int | None = None
    is_all: bool = False
    purged: bool = False

    @property
    def is_empty(self) -> bool:
        """Nothing narrows it."""
        return self == Selector(limit=self.limit, is_all=self.is_all, purged=self.purged)

    def within(self, states: Sequence[str]) -> Selector:
        """The same, of these states unless it names its own."""
        return self if self.states else replace(self, states=tuple(states))


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
    strands = _strands(session, selector, now)
    walks = [_walk(session, strand, after, newest_first, page, now) for strand in strands]
    found: Iterator[Place] = heapq.merge(*walks, reverse=newest_first)
    for number, place in enumerate(found):
        if selector.limit is not None and number >= selector.limit:
            return
        yield place


def tally(session: Executor, selector: Selector, *, now: datetime | None = None) -> dict[tuple[str, str, str], int]:
    """How many runs match, by (state, queue, kind). Exact; ``limit`` is not looked at."""
    counted: dict[tuple[str, str, str], int] = {}
    for strand in _strands(session, selector, now):
        rows = session.execute(
            select(JobRun.state, JobRun.queue, JobRun.kind, func.count())
            .where(*strand)
            .group_by(JobRun.state, JobRun.queue, JobRun.kind),
            {"now": now},
        )
        for state, queue, kind, number in rows:
            counted[state, queue, kind] = counted.get((state, queue, kind), 0) + number
    return counted


def ended_strands(session: Executor, state: RunState) -> Iterator[tuple[str, str]]:
    """Each (queue, kind) that has a run in this final state; one probe of the index for each."""
    # Equality and one range a probe: a comparison of pairs would read every run of the queue on SQLite.
    here = (JobRun.queue, JobRun.kind)
    probe = select(*here).where(*_ended(state)).order_by(*here).limit(1)
    row = session.execute(probe).one_or_none()
    while row is not None:
        queue, kind = row[0], row[1]
        yield queue, kind
        row = session.execute(probe.where(JobRun.queue == queue, JobRun.kind > kind)).one_or_none()
        if row is None:
            row = session.execute(probe.where(JobRun.queue > queue)).one_or_none()


def _walk(
    session: Executor,
    strand: Sequence[ColumnElement[bool]],
    after: Place | None,
    newest_first: bool,
    page: int,
    now: datetime | None,
) -> Iterator[Place]:
    while True:
        rows = session.execute(_page_of(strand, after, newest_first, page), {"now": now}).all()
        for row in rows:
            yield (row[0], row[1])
        if len(rows) < page:
            return
        after = (rows[-1][0], rows[-1][1])


def _page_of(
    strand: Sequence[ColumnElement[bool]], after: Place | None, newest_first: bool, page: int
) -> Select[datetime, UUID]:
    query = select(JobRun.state_at, JobRun.id).where(*strand)
    here = tuple_(JobRun.state_at, JobRun.id)
    if after is not None:
        there = tuple_(literal(after[0], UtcDateTime()), literal(after[1], Uuid()))
        query = query.where(here < there if newest_first else here > there)
    if newest_first:
        return query.order_by(JobRun.state_at.desc(), JobRun.id.desc()).limit(page)
    return query.order_by(JobRun.state_at, JobRun.id).limit(page)


def _strands(session: Executor, chosen: Selector, now: datetime | None) -> list[list[ColumnElement[bool]]]:
    rest = _rest(chosen, dialect_of(session))
    heads = _narrow_heads(session, chosen)
    if heads is not None:
        named = [*_of_names(chosen, dialect_of(session)), *_of_states(chosen)]
        return [[head, *named, *rest] for head in heads]
    strands: list[list[ColumnElement[bool]]] = []
    for state in _states(chosen):
        if state in FINAL:
            strands += [
                [*_ended(state), JobRun.queue == queue, JobRun.kind == kind, *rest]
                for queue, kind in ended_strands(session, state)
                if _matches(queue, chosen.queues) and _matches(kind, chosen.kinds)
            ]
        else:
            part = _parts(chosen) if state is RunState.QUEUED else []
            strands.append([_is(state), *part, *_of_names(chosen, dialect_of(session)), *rest])
    return strands


def _narrow_heads(session: Executor, chosen: Selector) -> list[ColumnElement[bool]] | None:
    """One condition a strand where the selector names few rows by themselves; None where it does not."""
    if chosen.ids:
        return [JobRun.id.in_(chosen.ids[start : start + PAGE]) for start in range(0, len(chosen.ids), PAGE)]
    if chosen.fingerprints:
        whole = dict.fromkeys(one for given in chosen.fingerprints for one in _fingerprints(session, given))
        return [JobRun.fingerprint == one for one in whole]
    if chosen.keys and not any(map(_is_pattern, chosen.keys)):
        return [JobRun.key == key for key in chosen.keys]
    if chosen.parents:
        return [JobRun.parent_id == parent for parent in chosen.parents]
    return None


def _fingerprints(session: Executor, given: str) -> list[str]:
    """The fingerprints that begin so."""
    ends = JobRun.fingerprint.between(given, given + "g")
    return [one for one in session.scalars(select(JobRun.fingerprint).where(ends).distinct().limit(100)) if one]


def _states(chosen: Selector) -> list[RunState]:
    if not chosen.states:
        return list(RunState) if not chosen.causes else [RunState.DEAD]
    base = {RunState.QUEUED if word in WAITING else RunState(word) for word in chosen.states}
    return [state for state in RunState if state in base]


def _is(state: RunState) -> ColumnElement[bool]:
    # In the statement's text, so that both planners can see which partial index it implies.
    return JobRun.state == literal_column(f"'{state.value}'")


def _ended(state: RunState) -> list[ColumnElement[bool]]:
    return [_is(state), JobRun.finished_at.is_not(None)]


def _of_states(chosen: Selector) -> list[ColumnElement[bool]]:
    if not chosen.states and not chosen.causes:
        return []
    return [
        or_(*(and_(_is(state), *(_parts(chosen) if state is RunState.QUEUED else [])) for state in _states(chosen)))
    ]


def _parts(chosen: Selector) -> list[ColumnElement[bool]]:
    if not chosen.states or RunState.QUEUED in chosen.states:
        return []
    is_due = JobRun.run_at <= ledger_now()
    each = {
        "ready": is_due,
        "scheduled": and_(~is_due, JobRun.attempt == 0),
        "retrying": and_(~is_due, JobRun.attempt > 0),
    }
    return [or_(*(each[word] for word in WAITING if word in chosen.states))]


def _of_names(chosen: Selector, dialect: str) -> list[ColumnElement[bool]]:
    pairs = ((JobRun.kind, chosen.kinds), (JobRun.queue, chosen.queues))
    return [or_(*(like(column, one, dialect) for one in names)) for column, names in pairs if names]


def _rest(chosen: Selector, dialect: str) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [
        JobRun.deleted_at.is_not(None) if chosen.purged else JobRun.deleted_at.is_(None)
    ]
    if chosen.since is not None:
        found.append(JobRun.state_at >= chosen.since)
    if chosen.until is not None:
        found.append(JobRun.state_at <= chosen.until)
    if chosen.causes:
        found.append(JobRun.cause.in_(chosen.causes))
    if chosen.keys:
        found.append(or_(*(like(JobRun.key, one, dialect) for one in chosen.keys)))
    if chosen.parents:
        found.append(JobRun.parent_id.in_(chosen.parents))
    if chosen.fingerprints:
        found.append(or_(*(JobRun.fingerprint.between(one, one + "g") for one in chosen.fingerprints)))
    if chosen.errors:
        found.append(or_(*(_error(one, dialect) for one in chosen.errors)))
    found += [_tag(one, dialect) for one in chosen.tags]
    found += [_argument(path, dialect) == value for path, value in chosen.arguments]
    found += [_COMPARE[sign](number) for sign, number in chosen.attempts]
    return found


_COMPARE: dict[str, Any] = {
    "=": lambda number: JobRun.attempt == number,
    ">": lambda number: JobRun.attempt > number,
    ">=": lambda number: JobRun.attempt >= number,
    "<": lambda number: JobRun.attempt < number,
    "<=": lambda number: JobRun.attempt <= number,
}


def like(column: Any, pattern: str, dialect: str) -> ColumnElement[bool]:
    """``column`` matches ``pattern`` (``*`` and ``?``), case counting; equality where there is neither."""
    if not _is_pattern(pattern):
        return column == pattern  # type: ignore[no-any-return]
    if dialect == "sqlite":
        return column.op("GLOB", is_comparison=True)(pattern.replace("[", "[[]"))  # type: ignore[no-any-return]
    plain = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return column.like(plain.replace("*", "%").replace("?", "_"), escape="\\")  # type: ignore[no-any-return]


def _is_pattern(text: str) -> bool:
    return "*" in text or "?" in text


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatchcase(name, pattern.replace("[", "[[]")) for pattern in patterns)


def _error(text: str, dialect: str) -> ColumnElement[bool]:
    """The error's class, with or without its module, or its message: a part of it where no pattern is given."""
    message = text if _is_pattern(text) else f"*{text}*"
    return or_(
        like(JobRun.error_type, text, dialect),
        like(JobRun.error_type, f"*.{text}", dialect),
        like(JobRun.error_message, message, dialect),
    )


def _tag(tag: str, dialect: str) -> ColumnElement[bool]:
    if dialect == "postgresql":
        return cast(JobRun.tags, JSONB).contains([tag])
    each = func.json_each(JobRun.tags).table_valued("value", name="each_tag")
    return select(each.c.value).where(each.c.value == tag).exists()


def _argument(path: str, dialect: str) -> ColumnElement[Any]:
    """The argument at ``a.b.0`` as text: what JSON shows, without quotes."""
    parts = path.split(".")
    if dialect == "postgresql":
        return JobRun.arguments.op("#>>", return_type=SaString())(cast(literal(parts, ARRAY(Text())), ARRAY(Text())))
    where = "$" + "".join(f"[{part}]" if part.isdecimal() else '."' + part.replace('"', "") + '"' for part in parts)
    kind = func.json_type(cast(JobRun.arguments, Text), where)
    shown = cast(func.json_extract(cast(JobRun.arguments, Text), where), Text)
    return case((kind.in_(["true", "false"]), kind), else_=shown)
