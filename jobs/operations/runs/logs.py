"""The log of an attempt, also while it performs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from jobs.app import App
from jobs.definition.redaction import HIDDEN
from jobs.ledger.effects.attempt_logs import AttemptLogRecord, find_log
from jobs.ledger.queries import find
from jobs.ledger.run_records import RunRecord
from jobs.operations.audit.operator import Operator, Permission
from jobs.states import FINAL, RunState

FOLLOW_SECONDS = 1.0
"""How often a follower asks. Source: decision; workers write every 2 s."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One line. ``number`` counts from 1 in its attempt; ``at`` is by the worker's clock."""

    attempt: int
    number: int
    at: datetime
    level: str
    source: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLog:
    """The kept lines of an attempt.

    Attributes:
        attempt: None if no attempt of the run has a log.
        line_count: the lines that it logged; ``left_out`` of them are not kept.
        is_open: the attempt still performs, so there may be more.
    """

    run_id: UUID
    attempt: int | None
    lines: list[LogLine]
    line_count: int
    left_out: int
    is_open: bool


def log_of(
    app: App, operator: Operator, text: str, *, attempt: int | None = None, after: int = 0, limit: int | None = None
) -> StoredLog:
    """The log of one attempt of the run that ``text`` identifies; by default of the latest that has one.

    Args:
        after: only lines with higher numbers.
        limit: at most so many, the first ones.

    Raises:
        NotFound: it identifies no run.
        Ambiguous: it identifies several.
    """
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        run = find.find_named(connection, text)
        return _shown(run, find_log(connection, run.id, attempt=attempt), operator, after, limit, attempt)


def log_of_run(app: App, operator: Operator, run: RunRecord, *, attempt: int | None = None) -> StoredLog:
    """``log_of`` for a run that was read already."""
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        return _shown(run, find_log(connection, run.id, attempt=attempt), operator, 0, None, attempt)


def follow_log(
    app: App, operator: Operator, text: str, *, attempt: int | None = None, rest: Callable[[], None]
) -> Iterator[LogLine]:
    """The lines of the run's attempts as they come, until it has ended, or ``attempt`` has.

    Args:
        rest: called before each wait.
    """
    wanted, after = attempt, 0
    run_id = str(log_of(app, operator, text).run_id)
    while True:
        with app.database.read() as connection:
            # The state first: whatever an attempt has logged before its end is there when the end is.
            run = find.find_named(connection, run_id)
        found = log_of(app, operator, run_id, attempt=wanted, after=after if wanted is not None else 0)
        yield from found.lines
        if found.attempt is not None:
            wanted, after = found.attempt, max((one.number for one in found.lines), default=after)
        if not found.is_open and (run.state in FINAL or attempt is not None):
            return
        if not found.is_open and attempt is None and wanted is not None and run.attempt > wanted:
            wanted, after = run.attempt, 0
        rest()
        app.clock.sleep(FOLLOW_SECONDS)


def _shown(
    run: RunRecord,
    found: AttemptLogRecord | None,
    operator: Operator,
    after: int,
    limit: int | None,
    wanted: int | None,
) -> StoredLog:
    is_running = run.state is RunState.RUNNING
    if found is None:
        is_open = is_running and wanted in (None, run.attempt)
        return StoredLog(run_id=run.id, attempt=None, lines=[], line_count=0, left_out=0, is_open=is_open)
    may_read = operator.may(Permission.ARGUMENTS_READ)
    lines = [_line(found.attempt, one, may_read) for one in _readable(found.lines) if one[0] > after]
    return StoredLog(
        run_id=run.id,
        attempt=found.attempt,
        lines=lines[:limit],
        line_count=found.line_count,
        left_out=found.left_out,
        is_open=is_running and found.attempt == run.attempt,
    )


def _readable(lines: Any) -> list[list[Any]]:
    """The stored lines, without those that another program wrote in another form."""
    if not isinstance(lines, list):
        return []
    return [one for one in lines if isinstance(one, list) and len(one) == 5 and type(one[0]) is type(one[1]) is int]


def _line(attempt: int, stored: list[Any], may_read: bool) -> LogLine:
    number, milliseconds, level, source, text = stored
    try:
        at = _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        at = _EPOCH
    return LogLine(
        attempt=attempt,
        number=number,
        at=at,
        level=str(level),
        source=str(source),
        text=str(text) if may_read else HIDDEN,
    )
