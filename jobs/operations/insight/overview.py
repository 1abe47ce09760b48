"""Counts of the ledger now and of its last hour, each of limited cost on millions of runs.

For pages and an API: ``counts`` and ``count`` stop at a limit, ``throughput`` and ``latencies`` read the latest
attempts, ``oldest`` gives the longest waits. ``jobs.operations.runs.inspect.status`` has the queues, workers and dead
groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.app import App
from jobs.ledger.moment import ledger_moment
from jobs.ledger.queries import reports, series
from jobs.ledger.queries.pagination import RunCount, count_up_to
from jobs.ledger.queries.selectors import STATE_WORDS, Selector
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.runs.inspect import check_words
from jobs.states import RunState

MOST = 10_000
"""Default limit of counts. Source: decision; larger numbers are not read exactly, and a page must not wait."""
MAX_SPAN = timedelta(days=7)
"""The longest series. Source: decision; ten thousand minutes."""


def count(app: App, operator: Operator, selector: Selector, *, most: int = MOST) -> RunCount:
    """How many runs match, counted up to ``most``: ``str()`` gives ``1,234`` or ``10,000+``."""
    operator.need(Permission.RUNS_READ)
    check_words(selector, operator)
    with app.database.read_both() as connection:
        return count_up_to(connection, selector, most=most)


def counts(app: App, operator: Operator, *, most: int = MOST) -> dict[str, RunCount]:
    """How many runs are in each state, and in each part of ``queued`` (``ready``, ``parked``, …).

    These are all the words that ``--state`` takes, each counted up to ``most``.
    """
    operator.need(Permission.RUNS_READ)
    with app.database.read_both() as connection:
        return {word: count_up_to(connection, Selector(states=(word,)), most=most) for word in STATE_WORDS}


def ended(app: App, operator: Operator, *, within: timedelta = timedelta(minutes=5)) -> dict[RunState, int]:
    """How many runs entered each final state recently."""
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        return reports.ended_since(connection, app.clock.now() - within)


def throughput(
    app: App, operator: Operator, *, since: datetime | None = None, until: datetime | None = None
) -> series.Series:
    """Attempts that succeeded, failed or ended otherwise, per minute, without gaps.

    Args:
        since: the first minute; by default an hour before ``until``, and at most seven days before it.
        until: by default now; the last minute is then incomplete.

    Reads the latest 100,000 attempts of the span: with ``is_capped`` the series begins later for that reason.
    """
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        end = until or ledger_moment(connection)
        begin = max(since or end - timedelta(hours=1), end - MAX_SPAN)
        return series.minutes(connection, since=begin, until=end)


def latencies(app: App, operator: Operator) -> list[series.Latency]:
    """Seconds that the latest 2,000 attempts waited and took, by queue and kind: medians and 95th percentiles."""
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        return series.latencies(connection)


@dataclass(frozen=True, slots=True, kw_only=True)
class Oldest:
    """Ages in seconds; None if there is no such run.

    Attributes:
        ready: since the oldest ready run of a queue that is not paused was due.
        ready_paused: the same in paused queues.
        running: since the longest running run started.
        dead: since the oldest dead letter died.
    """

    ready: float | None
    ready_paused: float | None
    running: float | None
    dead: float | None


def oldest(app: App, operator: Operator) -> Oldest:
    """The longest times that runs have waited, run and been dead."""
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        waits = reports.oldest_ready(connection)
        paused = reports.paused_queues(connection)
        return Oldest(
            ready=max((seconds for queue, seconds in waits.items() if queue not in paused), default=None),
            ready_paused=max((seconds for queue, seconds in waits.items() if queue in paused), default=None),
            running=reports.oldest_running(connection),
            dead=reports.oldest_dead(connection),
        )
