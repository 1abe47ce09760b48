"""Ledgers with runs that ended: in the hot tables or in history, each with its attempt. One in a hundred is dead."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
from sqlalchemy import text

from benchmarks.kit.places import Place, wait_for
from benchmarks.kit.work import TEXT
from jobs.ledger.history import partitions
from jobs.ledger.history.periods import period_of
from jobs.operations.audit.operator import Operator
from jobs.operations.control.history import enable_history

_AT_ONCE = 100_000
"""Runs of a statement: a million take longer than a statement may."""
_DEAD = "n %% 100 = 0"
_FILL = (
    # Ids as ``new_run_id`` makes them: of about the time of the end, and random.
    "with ended as materialized (select n, at,"
    " cast(lpad(to_hex(cast(extract(epoch from at) * 1000 as bigint)), 12, '0') || '7' || substr(hash, 1, 3) || '8'"
    " || substr(hash, 4, 15) as uuid) as id,"
    f" case when {_DEAD} then 'dead' else 'succeeded' end as state,"
    f" case when {_DEAD} then lpad(to_hex(n / 100 %% 20), 16, '0') end as fingerprint"
    " from (select n, md5(n || random()::text) as hash,"
    " cast(:first as timestamptz) + n * cast(:seconds as double precision) * interval '1 second' as at"
    " from generate_series(cast(:begin as integer), cast(:end as integer)) as n) as numbered),"
    " runs as (insert into %(runs)s (id, kind, queue, priority, arguments, arguments_version, state, cause, attempt,"
    " charged, crashes, abandonments, max_attempts, run_at, created_at, started_at, finished_at, state_at,"
    " has_followups, error_type, fingerprint%(keep)s) select id, 'Noop', 'default', 0,"
    " json_build_object('a', n, 'b', cast(:text as text)), 1, state, case state when 'dead' then 'exhausted' end, 1, 1,"
    " 0, 0, 10, at, at, at, at, at, false, case state when 'dead' then 'ValueError' end, fingerprint%(state)s"
    " from ended)"
    " insert into %(attempts)s (run_id, attempt, token, outcome, worker, started_at, finished_at, error_type,"
    " fingerprint%(at_keep)s) select id, 1, gen_random_uuid(), case state when 'dead' then 'failed' else 'succeeded'"
    " end, 'bench', at - interval '1 millisecond', at, case state when 'dead' then 'ValueError' end, fingerprint"
    "%(at_state)s from ended"
)
_HOT = {"runs": "job_runs", "attempts": "job_attempts", "keep": "", "state": "", "at_keep": "", "at_state": ""}
_COLD = {
    "runs": "job_history", "attempts": "job_attempts_history", "keep": ", keep", "state": ", state",
    "at_keep": ", ended_at, keep", "at_state": ", at, state",
}  # fmt: skip


def enable(place: Place) -> None:
    """Let runs move at once."""
    enable_history(place.app, Operator("bench"))
    with place.app.database.write() as connection:
        connection.execute(text("update job_history_settings set moves_after = now()"))


def fill_hot(place: Place, count: int, *, ago: timedelta, span: timedelta) -> None:
    """Add runs to the hot tables that ended one after another over ``span``, the first one ``ago``."""
    _insert(place, _FILL % _HOT, count, datetime.now(UTC) - ago, span)
    vacuum(place, "job_runs", "job_attempts")


def fill_history(place: Place, count: int, *, months: int) -> None:
    """Add runs to history that ended over so many months, up to yesterday."""
    now = datetime.now(UTC)
    begin, end = now - months * timedelta(days=30), now - timedelta(days=1)
    moments = [begin]
    while (following := period_of(moments[-1], "month").end) < end:
        moments.append(following)
    partitions.make_for(
        place.app.database, [(state, at) for state in ("succeeded", "dead") for at in moments], length="month"
    )
    _insert(place, _FILL % _COLD, count, begin, end - begin)
    vacuum(place, "job_history", "job_attempts_history")


def vacuum(place: Place, *tables: str) -> None:
    """Vacuum and analyze, as autovacuum has done on a ledger of some age."""
    with closing(psycopg.connect(place.database_url, autocommit=True)) as connection:
        for one in tables:
            connection.execute(f"vacuum analyze {one}".encode())


def _insert(place: Place, statement: str, count: int, first: datetime, span: timedelta) -> None:
    values = {"text": TEXT, "first": first, "seconds": span.total_seconds() / count}
    for begin in range(0, count, _AT_ONCE):
        with place.app.database.write() as connection:
            given = {**values, "begin": begin, "end": min(begin + _AT_ONCE, count) - 1}
            connection.execute(text(statement), given)


@dataclass(frozen=True, slots=True)
class Drained:
    """When the first attempt began and the last one ended, by the server's clock, and runs per second between."""

    began: datetime
    ended: datetime
    rate: float


def drain(place: Place, runs: int, *, during: Callable[[], object] = lambda: None) -> Drained:
    """Drain the next ``runs`` runs by a worker. It looks only at the hot tables, at the attempts of this drain.

    Args:
        during: is called every 0.25 s.
    """
    with closing(psycopg.connect(place.database_url, autocommit=True)) as connection:
        (since,) = connection.execute("select clock_timestamp()").fetchone() or ()

        def count() -> int:
            during()
            found = connection.execute("select count(*) from job_attempts where finished_at > %s", [since]).fetchone()
            return int(found[0]) if found else 0

        with place.worker():
            wait_for(lambda: count() >= runs, every=0.25)
        found = connection.execute(
            "select min(started_at), max(finished_at), count(*) from job_attempts where finished_at > %s", [since]
        ).fetchone()
    assert found is not None
    began, ended, number = found
    return Drained(began, ended, number / (ended - began).total_seconds())
