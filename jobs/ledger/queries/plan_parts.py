"""Splits a selector into query plan parts, each of which one index answers in the order of ``state_at``.

The parts are the named ids, fingerprints, keys or parents. Without those they are the runs of each state, split by
(queue, kind): waiting ones always, ended ones if the selector names either. Merged, the parts never read a million
succeeded runs to find ten dead ones. Tags, arguments, errors and patterns in keys are checked row by row within the
parts that the rest of the selector defines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import CTE, ColumnElement, Select, bindparam, select

from jobs.database.history_reads import HOT_ONLY
from jobs.database.models import JobRun
from jobs.database.sql import Executor, dialect_of
from jobs.ledger.history_spans import BOTH, Source, SourceShape
from jobs.ledger.queries.conditions import held_by, is_state, of_names, of_parts, of_states, of_the_rest, states_of
from jobs.ledger.queries.selectors import Selector, is_pattern
from jobs.states import FINAL, RunState

if TYPE_CHECKING:
    from sqlalchemy.orm import InstrumentedAttribute

PlanPart = list[ColumnElement[bool]]
"""Conditions that must all hold."""
EVERY = Selector()
"""An empty selector matches every run."""
NAMES = 200
"""Most names of waiting runs that are scanned in parallel; with more, the database sorts them. Source: decision."""
IDS = 500
"""Ids per plan part. Source: decision; well below what either dialect binds in one statement."""


@dataclass(frozen=True, slots=True)
class PartGroup:
    """Plan parts of one ``state`` that differ only in their queue and kind (``names``), or one plan part without names.

    A group of runs that are named in another way has no state.
    """

    conditions: PlanPart
    state: RunState | None = None
    names: tuple[tuple[str, str], ...] = ()

    @property
    def plan_parts(self) -> list[PlanPart]:
        if not self.names:
            return [self.conditions]
        return [[*self.conditions, JobRun.queue == queue, JobRun.kind == kind] for queue, kind in self.names]


def plan_parts_of(session: Executor, chosen: Selector) -> list[PlanPart]:
    """The plan parts of a selector; no run is in two of them."""
    return [part for group in part_groups_of(session, chosen) for part in group.plan_parts]


def part_groups_of(session: Executor, chosen: Selector, source: Source = BOTH) -> list[PartGroup]:
    """The same, grouped so that one statement can scan each group, of the runs in one source.

    The statement needs the options and parameters of the source.
    """
    dialect = dialect_of(session)
    heads = _named(session, chosen, source)
    if heads is not None:
        here = [*of_names(chosen, dialect), *of_states(chosen), *of_the_rest(chosen, dialect)]
        return [PartGroup([head, *here, *source.shape.bounds]) for head in heads]
    names, here_of = _conditions(chosen, dialect)
    groups = []
    for state, here in here_of.items():
        if source.place == "history" or state in FINAL:
            continue
        if state is RunState.QUEUED:
            groups += _of_waiting(session, chosen, names, here)
        else:
            groups.append(PartGroup([*here, *names], state))
    ended = [state for state in here_of if state in FINAL]
    there = ended_names(session, chosen, source) if ended and names else []
    for state in ended:
        here = [*here_of[state], *source.shape.conditions(state)]
        every = [(queue, kind) for one, queue, kind in there if one is state]
        meant = [one for one in every if _is_meant(chosen, *one)]
        if meant == every and not _kinds_of(chosen):
            # A scan of the state meets only runs that match.
            groups.append(PartGroup([*here, *names], state))
        elif meant:
            groups.append(PartGroup(here, state, tuple(meant)))
    return groups


def may_be_in_history(chosen: Selector) -> bool:
    """Whether runs that it matches may be there: ended ones that are neither purged nor members of a batch."""
    if chosen.purged or chosen.held or chosen.batches:
        return False
    return any(state in FINAL for state in states_of(chosen))


@lru_cache(maxsize=256)
def _conditions(chosen: Selector, dialect: str) -> tuple[PlanPart, dict[RunState, PlanPart]]:
    """The conditions for its names, and those of each state without names.

    Cached: building takes as long as the query.
    """
    rest = of_the_rest(chosen, dialect)
    here_of: dict[RunState, PlanPart] = {}
    for state in states_of(chosen):
        here_of[state] = [is_state(state), *rest]
        if state is RunState.QUEUED:
            here_of[state] += of_parts(chosen)
        elif state in FINAL:
            here_of[state].append(JobRun.finished_at.is_not(None))
    return of_names(chosen, dialect), here_of


def _of_waiting(session: Executor, chosen: Selector, names: PlanPart, here: PlanPart) -> list[PartGroup]:
    """The matching waiting runs: one plan part per name, because their only index begins with names."""
    meant = [(queue, kind) for kind, queue in waiting_names(session, chosen) if _is_meant(chosen, queue, kind)]
    if len(meant) > NAMES:
        return [PartGroup([*here, *names], RunState.QUEUED)]
    return [PartGroup(here, RunState.QUEUED, tuple(meant))] if meant else []


def ended_names(session: Executor, chosen: Selector = EVERY, source: Source = BOTH) -> list[tuple[RunState, str, str]]:
    """Each (state, queue, kind) of ended, unpurged runs, for the kinds that ``chosen`` names.

    One index probe for each, in each partition of a span of history.
    """
    kinds = _kinds_of(chosen)
    names = _ended_names(bool(kinds), source.shape)
    rows = session.execute(names, {"kinds": kinds, **source.given})
    return [(RunState(row[0]), row[1], row[2]) for row in rows]


def waiting_names(session: Executor, chosen: Selector = EVERY) -> list[tuple[str, str]]:
    """Each (kind, queue) of waiting runs, for the same kinds. One index probe for each."""
    kinds = _kinds_of(chosen)
    rows = session.execute(_waiting_names(bool(kinds)), {"kinds": kinds})
    return [(row[0], row[1]) for row in rows]


def _kinds_of(chosen: Selector) -> tuple[str, ...]:
    """The kinds that the selector names in full; none if it leaves them open or has a pattern."""
    return () if any(map(is_pattern, chosen.kinds)) else chosen.kinds


@cache
def _ended_names(has_kinds: bool, shape: SourceShape) -> Select[Any]:
    shown = (JobRun.finished_at.is_not(None), JobRun.deleted_at.is_(None), *shape.bounds)
    names = _distinct((JobRun.state, JobRun.queue, JobRun.kind), *shown, has_kinds=has_kinds)
    return names.execution_options(**shape.options)


@cache
def _waiting_names(has_kinds: bool) -> Select[Any]:
    names = _distinct((JobRun.kind, JobRun.queue), is_state(RunState.QUEUED), has_kinds=has_kinds)
    return names.execution_options(**HOT_ONLY)


def _distinct(
    columns: Sequence[InstrumentedAttribute[Any]], *which: ColumnElement[bool], has_kinds: bool
) -> Select[Any]:
    """Each combination of values, read backwards from an index that begins with them.

    It reads only the latest run of each, and starts at the latest, because claims and pruning leave dead index entries
    among the earliest.
    """

    def last(column: Any, *more: ColumnElement[bool]) -> ColumnElement[Any]:
        asked = [JobRun.kind.in_(bindparam("kinds", expanding=True))] if has_kinds and column is JobRun.kind else []
        query = select(column).where(*which, *asked, *more).order_by(column.desc()).limit(1)
        return query.correlate_except(JobRun).scalar_subquery().label(column.key)

    found: CTE | None = None
    for column in columns:
        given = list(found.c) if found is not None else []
        same = [getattr(JobRun, one.key) == one for one in given]
        query = select(*given, last(column, *same))
        if given:
            query = query.where(given[-1].is_not(None))
        walk = query.cte(f"each_{column.key}", recursive=True)
        before = list(walk.c)
        same = [getattr(JobRun, one.key) == one for one in before[:-1]]
        following = select(*before[:-1], last(column, *same, column < before[-1]))
        found = walk.union_all(following.where(before[-1].is_not(None)))
    assert found is not None
    return select(*found.c).where(list(found.c)[-1].is_not(None))


def _named(session: Executor, chosen: Selector, source: Source) -> list[ColumnElement[bool]] | None:
    """One condition per plan part if the selector names few rows directly; None if it does not."""
    if chosen.ids:
        return [JobRun.id.in_(chosen.ids[start : start + IDS]) for start in range(0, len(chosen.ids), IDS)]
    if chosen.fingerprints:
        whole = dict.fromkeys(one for given in chosen.fingerprints for one in _fingerprints(session, given, source))
        return [JobRun.fingerprint == one for one in whole]
    if chosen.held:
        return held_by(chosen)
    if chosen.keys and not any(map(is_pattern, chosen.keys)):
        return [JobRun.key == key for key in dict.fromkeys(chosen.keys)]
    if chosen.batches:
        return [JobRun.batch_id == batch for batch in dict.fromkeys(chosen.batches)]
    if chosen.parents:
        return [JobRun.parent_id == parent for parent in dict.fromkeys(chosen.parents)]
    return [JobRun.deleted_at.is_not(None)] if chosen.purged else None


def _fingerprints(session: Executor, given: str, source: Source) -> list[str]:
    """The fingerprints with this prefix."""
    ends = select(JobRun.fingerprint).where(JobRun.fingerprint.between(given, given + "g"), *source.shape.bounds)
    found = session.scalars(ends.distinct().limit(100).execution_options(**source.shape.options), source.given)
    return [one for one in found if one]


def _is_meant(chosen: Selector, queue: str, kind: str) -> bool:
    return _matches(queue, chosen.queues) and _matches(kind, chosen.kinds)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatchcase(name, pattern.replace("[", "[[]")) for pattern in patterns)
