"""Counts of the ledger now and of its last hour, each of limited cost on millions of runs.

For pages and an API: ``counts`` and ``count`` stop at a cap, ``throughput`` and ``latencies`` read the latest attempts,
``oldest`` is what waits longest. ``jobs.operations.runs.inspect.status`` has the queues, workers and dead groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.app import App
from jobs.ledger.operators import audit
from jobs.ledger.queries import reports, series
from jobs.ledger.queries.pagination import RunCount, count_up_to
from jobs.ledger.queries.selectors import STATE_WORDS, Selector
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.runs.inspect import check_words
from jobs.states import RunState

MOST = 10_000
"""Where counts stop, unless said. Source: decision; beyond it nobody reads the number, and a page must not wait."""
MAX_SPAN = timedelta(days=7)
"""The longest series. Source: decision; ten thousand minutes."""


def count(app: App, operator: Operator, selector: Selector, *, most: int = MOST) -> RunCount:
    """How many runs match, counted to ``most``: ``str()`` of it is ``1,234`` or ``10,000+``."""
    operator.need(Permission.RUNS_READ)
    check_words(selector, operator)
    with app.database.read() as connection:
        return count_up_to(connection, selector, most=most)


def counts(app: App, operator: Operator, *, most: int = MOST) -> dict[str, RunCount]:
    """How many runs are in each state, and in each part of ``queued`` (``ready``, ``scheduled``, ``retrying``): every
    word that ``--state`` takes, each counted to ``most``."""
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        return {word: count_up_to(connection, Selector(states=(word,)), most=most) for word in STATE_WORDS}


def ended(app: App, operator: Operator, *, within: timedelta = timedelta(minutes=5)) -> dict[RunState, int]:
    """How many runs came to each final state of late."""
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        return reports.ended_since(connection, app.clock.now() - within)


def throughput(
    app: App, operator: Operator, *, since: datetime | None = None, until: datetime | None = None
) -> series.Series:
    """The attempts that succeeded, failed or ended otherwise, minute by minute, without gaps.

    Args:
        since: the first minute's moment; an hour before ``until`` unless said, and at most seven days before it.
        until: now unless said; the last minute is not over then.

    Reads the latest 100,000 attempts of the span: ``is_capped`` says that the series begins later for that.
    """
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        end = until or audit.moment(connection)
        begin = max(since or end - timedelta(hours=1), end - MAX_SPAN)
        return series.minutes(connection, since=begin, until=end)


def latencies(app: App, operator: Operator) -> list[series.Latency]:
    """How long the latest 2,000 attempts waited and took, by queue and kind: medians and 95th percentiles, in
    seconds."""
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        return series.latencies(connection)


@dataclass(frozen=True, slots=True, kw_only=True)
class Oldest:
    """Ages in seconds; None where there is no such run.

    Attributes:
        ready: since the oldest ready run of a queue that is not paused was due.
        ready_paused: the same in paused queues.
        running: since the run started that has run longest.
        dead: since the oldest dead letter died.
    """

    ready: float | None
    ready_paused: float | None
    running: float | None
    dead: float | None


def oldest(app: App, operator: Operator) -> Oldest:
    """What has waited, run and been dead for longest."""
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
