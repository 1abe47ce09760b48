"""Where a list looks for runs: first in the hot tables, then in history, a span of time after the other, newest first.

PostgreSQL plans a statement over each partition that its conditions on time and rule leave, and for a page of a list
that takes longer than reading the rows. So a list stops as soon as what is left in history must be older than the page.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Column, ColumnElement, MetaData, Table, bindparam, literal_column, select, union_all

from jobs.database.history_reads import HISTORY_ONLY, HOT_ONLY, HistoryReads, history_of
from jobs.database.models import JobRun, UtcDateTime
from jobs.database.sql import Executor, connection_of
from jobs.states import FINAL, RunState

MOVES_AT_AGE = timedelta(minutes=1)
"""No run moves to history that ended more recently than this. Source: decision."""
RECENT = timedelta(seconds=30)
"""A page of runs that all ended within this time needs no look into history. Source: decision; half of
``MOVES_AT_AGE``, because the server's clock may be put back."""


@dataclass(frozen=True, slots=True)
class SourceShape:
    """What the text of a statement depends on: its parameters begin with ``span_``."""

    place: str
    has_begin: bool
    has_end: bool

    @property
    def options(self) -> dict[str, Any]:
        """The execution options of the statement."""
        return {"hot": HOT_ONLY, "history": HISTORY_ONLY}.get(self.place, {})

    @property
    def bounds(self) -> list[ColumnElement[bool]]:
        """The conditions on time."""
        found = []
        if self.has_begin:
            found.append(JobRun.state_at >= bindparam("span_begin", type_=UtcDateTime()))
        if self.has_end:
            found.append(JobRun.state_at < bindparam("span_end", type_=UtcDateTime()))
        return found

    def conditions(self, state: RunState) -> list[ColumnElement[bool]]:
        """The conditions for runs in a final state: their time, and no partitions of other states."""
        if self.place != "history":
            return self.bounds
        return [*self.bounds, *_not_of_others(literal_column("job_runs.keep"), state)]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a statement looks: in ``both``, in the ``hot`` tables, or in ``history`` from ``begin`` to ``end``."""

    place: str = "both"
    begin: datetime | None = None
    end: datetime | None = None

    @property
    def shape(self) -> SourceShape:
        return SourceShape(self.place, self.begin is not None, self.end is not None)

    @property
    def given(self) -> dict[str, Any]:
        """The values of the statement's parameters."""
        every = {"span_begin": self.begin, "span_end": self.end}
        return {name: moment for name, moment in every.items() if moment is not None}


BOTH, HOT = Source(), Source("hot")
_NEAR = timedelta(hours=1), timedelta(days=2)
_COLUMNS = ("queue", "kind", "cause", "fingerprint", "error_type", "error_message", "state_at")


def near(run_id: UUID) -> Source | None:
    """The span of history where most runs with this id are: its time is when the run was made. Others are elsewhere."""
    if run_id.version != 7:
        return None
    try:
        made = datetime.fromtimestamp((run_id.int >> 80) / 1000, UTC)
        return Source("history", made - _NEAR[0], made + _NEAR[1])
    except (OverflowError, ValueError, OSError):
        return None


def shown_runs(session: Executor, state: RunState) -> tuple[Any, list[ColumnElement[bool]], dict[str, Any]]:
    """The unpurged runs in a final state, in both places: columns, conditions, and options of the statement.

    With history, it leaves out the partitions of other states, which the view would read.
    """
    if history_read_by(session) is None:
        return JobRun, _shown(JobRun, state), {}
    return _shown_in_both(state), [], HOT_ONLY


@cache
def _shown_in_both(state: RunState) -> Any:
    twin = Table("job_history", MetaData(), Column("keep"), *(Column(one.name, one.type) for one in JobRun.__table__.c))
    there = [*_shown(twin.c, state), *_not_of_others(twin.c.keep, state)]
    hot = select(*(getattr(JobRun, name) for name in _COLUMNS)).where(*_shown(JobRun, state))
    return union_all(hot, select(*(twin.c[name] for name in _COLUMNS)).where(*there)).subquery("shown").c


def _shown(columns: Any, state: RunState) -> list[ColumnElement[bool]]:
    is_state = columns.state == literal_column(f"'{state.value}'")
    return [is_state, columns.finished_at.is_not(None), columns.deleted_at.is_(None)]


def _not_of_others(keep: ColumnElement[Any], state: RunState) -> list[ColumnElement[bool]]:
    """Conditions that leave out the partitions of the other states; those with a time of their own have any state."""
    return [keep != literal_column(f"'{one}'") for one in sorted(one.value for one in FINAL if one is not state)]


def history_read_by(session: Executor) -> HistoryReads | None:
    """The history that statements of this session see; None if there is none, or they write."""
    return history_of(connection_of(session))


def in_turn(
    session: Executor, history: HistoryReads | None, *, before: datetime | None = None, since: datetime | None = None
) -> Iterator[Source]:
    """The hot tables, and then spans of history, the latest first, that together are all of it.

    Args:
        before: no later run is wanted. The first span begins there.
        since: no earlier run is wanted.
    """
    yield HOT
    if history is None:
        return
    begins = [one for one in history.begins(connection_of(session)) if before is None or one <= before]
    for span in spans(begins):
        if since is None or span.end is None or span.end > since:
            yield span


def spans(begins: Sequence[datetime]) -> Iterator[Source]:
    """Spans that end where the one before begins, each with twice as many periods. The last one has no begin.

    Args:
        begins: of the periods, the latest first.
    """
    end, place, many = None, 0, 1
    while place < len(begins):
        begin = begins[min(place + many, len(begins)) - 1]
        yield Source("history", begin, end)
        end, place, many = begin, place + many, 2 * many
    yield Source("history", None, end)
