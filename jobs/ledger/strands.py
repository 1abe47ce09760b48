"""Strands: a selector in parts, each of which one index answers in the order of ``state_at``.

They are the ids, fingerprints, keys or parents that were named; else the runs of each state, and of those that have
ended, each (queue, kind) where either was named. Merged, they never read a million succeeded runs to find ten dead
ones. Tags, arguments, errors and patterns in keys are looked at row by row within the strands that the rest names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, literal_column, select, union_all

from jobs.ledger.conditions import is_state, of_names, of_parts, of_states, of_the_rest, states_of
from jobs.ledger.selectors import Selector, is_pattern
from jobs.models import JobRun
from jobs.sql import Executor, dialect_of
from jobs.states import FINAL, RunState

Strand = list[ColumnElement[bool]]
"""Conditions that all hold."""
IDS = 500
"""Ids a strand. Source: decision; well below what either dialect binds in one statement."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """Strands that differ in their queue and kind alone: those ``names``, of ``state``. One strand, where there is no
    state."""

    conditions: Strand
    state: RunState | None = None
    names: tuple[tuple[str, str], ...] = ()

    @property
    def strands(self) -> list[Strand]:
        if self.state is None:
            return [self.conditions]
        return [[*self.conditions, JobRun.queue == queue, JobRun.kind == kind] for queue, kind in self.names]


def strands_of(session: Executor, chosen: Selector) -> list[Strand]:
    """The strands of a selector; no run is in two of them."""
    return [strand for bundle in bundles_of(session, chosen) for strand in bundle.strands]


def bundles_of(session: Executor, chosen: Selector) -> list[Bundle]:
    """The same, those together that one statement can walk side by side."""
    dialect = dialect_of(session)
    rest = of_the_rest(chosen, dialect)
    heads = _named(session, chosen)
    if heads is not None:
        return [Bundle([head, *of_names(chosen, dialect), *of_states(chosen), *rest]) for head in heads]
    names = of_names(chosen, dialect)
    bundles = [
        Bundle([is_state(state), *of_parts_in(chosen, state), *names, *rest])
        for state in states_of(chosen)
        if state not in FINAL
    ]
    ended = [state for state in states_of(chosen) if state in FINAL]
    there = ended_names(session) if ended and names else []
    for state in ended:
        here = [is_state(state), JobRun.finished_at.is_not(None), *rest]
        every = [(queue, kind) for one, queue, kind in there if one is state]
        meant = [one for one in every if _matches(one[0], chosen.queues) and _matches(one[1], chosen.kinds)]
        if meant == every:
            # Whoever walks the state meets no run that is not meant.
            bundles.append(Bundle([*here, *names]))
        elif meant:
            bundles.append(Bundle(here, state, tuple(meant)))
    return bundles


def of_parts_in(chosen: Selector, state: RunState) -> Strand:
    """The parts of ``queued`` that are meant, where this is the state."""
    return of_parts(chosen) if state is RunState.QUEUED else []


def ended_names(session: Executor) -> list[tuple[RunState, str, str]]:
    """Each (state, queue, kind) that a run has which ended and is not purged. One probe of an index for each."""
    return [(RunState(row[0]), row[1], row[2]) for row in session.execute(_ended_names())]


@cache
def _ended_names() -> Select[str, str, str]:
    """From name to next name in the index: no run is read but the first of each."""
    shown = (JobRun.finished_at.is_not(None), JobRun.deleted_at.is_(None))

    def first(column: Any, *which: ColumnElement[bool]) -> ColumnElement[str]:
        query = select(column).where(*shown, *which).order_by(column).limit(1)
        return query.correlate_except(JobRun).scalar_subquery()

    each: list[Any] = [select(literal_column(f"'{state.value}'").label("state")) for state in sorted(FINAL)]
    states = union_all(*each).cte("states")
    queues = select(
        states.c.state, first(JobRun.queue, JobRun.state == states.c.state).label("queue")
    ).cte("queues", recursive=True)  # fmt: skip
    beyond = first(JobRun.queue, JobRun.state == queues.c.state, JobRun.queue > queues.c.queue)
    queues = queues.union_all(select(queues.c.state, beyond).where(queues.c.queue.is_not(None)))
    same = (JobRun.state == queues.c.state, JobRun.queue == queues.c.queue)
    names = (
        select(queues.c.state, queues.c.queue, first(JobRun.kind, *same).label("kind"))
        .where(queues.c.queue.is_not(None))
        .cte("names", recursive=True)
    )
    following = first(
        JobRun.kind, JobRun.state == names.c.state, JobRun.queue == names.c.queue, JobRun.kind > names.c.kind
    )
    names = names.union_all(select(names.c.state, names.c.queue, following).where(names.c.kind.is_not(None)))
    return select(names.c.state, names.c.queue, names.c.kind).where(names.c.kind.is_not(None))


def _named(session: Executor, chosen: Selector) -> list[ColumnElement[bool]] | None:
    """One condition a strand where the selector names few rows by themselves; None where it does not."""
    if chosen.ids:
        return [JobRun.id.in_(chosen.ids[start : start + IDS]) for start in range(0, len(chosen.ids), IDS)]
    if chosen.fingerprints:
        whole = dict.fromkeys(one for given in chosen.fingerprints for one in _fingerprints(session, given))
        return [JobRun.fingerprint == one for one in whole]
    if chosen.keys and not any(map(is_pattern, chosen.keys)):
        return [JobRun.key == key for key in dict.fromkeys(chosen.keys)]
    if chosen.parents:
        return [JobRun.parent_id == parent for parent in dict.fromkeys(chosen.parents)]
    return [JobRun.deleted_at.is_not(None)] if chosen.purged else None


def _fingerprints(session: Executor, given: str) -> list[str]:
    """The fingerprints that begin so."""
    ends = JobRun.fingerprint.between(given, given + "g")
    return [one for one in session.scalars(select(JobRun.fingerprint).where(ends).distinct().limit(100)) if one]


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatchcase(name, pattern.replace("[", "[[]")) for pattern in patterns)
