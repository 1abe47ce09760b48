"""What each index costs a run: write-ahead log of a plain run's life, with and without the index. PostgreSQL alone.

``python -m benchmarks.indexes [RUNS]`` prints a table. The bytes say how much is written; they are the same in each
repeat, unlike times, which the few bytes of one index change by less than they vary.
"""

from __future__ import annotations

import sys
from contextlib import closing
from datetime import timedelta

from sqlalchemy import text

from benchmarks.kit.modes import POSTGRESQL
from benchmarks.kit.places import Place, Places, places
from benchmarks.kit.work import Noop
from jobs import enqueue_many
from jobs.ledger.records import AttemptResult, Claim
from jobs.ledger.runs.claim import claim_due_direct
from jobs.ledger.runs.settle_plain import settle_plain
from jobs.states import Outcome

BATCH = 500
LEASE = timedelta(minutes=5)
INDEXES = (
    "select indexname from pg_indexes where schemaname = current_schema() and indexname not like 'pk_%'"
    " and tablename in ('job_runs', 'job_attempts') order by indexname"
)
WRITTEN = "select pg_current_wal_insert_lsn() - '0/0'"


def bytes_per_run(there: Places, runs: int, *, without: str | None) -> float:
    """Enqueue, claim and settle ``runs`` runs in batches; returns the bytes written for each."""
    with there.ledger(POSTGRESQL) as place:
        if without is not None:
            with place.app.database.write() as connection:
                connection.execute(text(f"drop index {without}"))
        before = float(place.sql(WRITTEN)[0])
        enqueue_many([Noop(a=number) for number in range(runs)])
        own = place.app.database.own_connection()
        assert own is not None
        with closing(own), own.opened() as direct:
            while claims := claim_due_direct(
                direct, ["default"], count=BATCH, kinds=["Noop"], worker="bench", lease=LEASE
            ):
                _settle(place, claims)
        return (float(place.sql(WRITTEN)[0]) - before) / runs


def _settle(place: Place, claims: list[Claim]) -> None:
    now = place.app.clock.monotonic()
    done = [
        AttemptResult(claim=one, outcome=Outcome.SUCCEEDED, elapsed_seconds=0.001, ended_monotonic=now)
        for one in claims
    ]  # fmt: skip
    with place.app.database.direct() as direct:
        settle_plain(direct, done, worker="bench", monotonic=now)


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    # Nothing else may write meanwhile.
    quiet: dict[str, str | int] = {"autovacuum": "off", "checkpoint_timeout": "1h", "full_page_writes": "off"}
    with places(max_wal_size="4GB", **quiet) as there:
        whole = bytes_per_run(there, runs, without=None)
        print(f"{'every index':32} {whole:6.0f} bytes a run")
        with there.ledger(POSTGRESQL) as place, place.app.database.read() as connection:
            names = list(connection.scalars(text(INDEXES)))
        for name in names:
            print(f"{name:32} {whole - bytes_per_run(there, runs, without=name):6.0f}")


if __name__ == "__main__":
    main()
