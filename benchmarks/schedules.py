"""The cost of a scheduler's tick with few schedules and with many, of which the same number is due.

    python -m benchmarks.schedules [--due 20] [--rounds 40] [--exists 100 10000]

On SQLite and PostgreSQL: the time of a tick that decides ``--due`` slots, of a look that finds nothing due, and the
plan of the very statement that looks for what is due. Prints the table in docs/schedules.md.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy import event, text

from jobs import Every, Job, boot
from jobs.app import App
from jobs.ledger.moment import ledger_moment
from jobs.ledger.schedules import schedules
from jobs.migration import schema
from jobs.operations.schedules.rows import columns_of
from jobs.settings import Settings
from scheduler.periodic import Periodic
from tests.servers import PostgresServer

DAY = timedelta(days=1)
Statement = tuple[str, Any]


class Nothing(Job):
    """Enqueued, and never performed here."""

    n: int = 0

    def perform(self) -> None: ...


def fill(app: App, count: int) -> None:
    """``count`` schedules, none of them due for a month."""
    values = columns_of(Nothing(), Every(DAY), "n", max_bytes=1000)
    values |= {"owner": "operator", "module": None, "place": None}
    with app.database.write() as connection:
        now = ledger_moment(connection)
        for n in range(count):
            schedules.add(connection, {**values, "name": _name(n)}, next_slot_at=now + 30 * DAY, now=now)
    with app.database.write() as connection:
        connection.execute(text("ANALYZE"))


def make_due(app: App, count: int) -> None:
    """Make ``count`` schedules with one undecided due slot each."""
    with app.database.write() as connection:
        connection.execute(text("DELETE FROM job_schedule_slots"))
        connection.execute(text("DELETE FROM job_runs"))
        now = ledger_moment(connection)
        for n in range(count):
            values = {"next_slot_at": now - timedelta(milliseconds=1), "decided_until": now - DAY}
            schedules.change(connection, _name(n), values, now=now)


@contextmanager
def statements(app: App) -> Iterator[list[Statement]]:
    """Collects the statements that the block executes."""
    seen: list[Statement] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        seen.append((statement, parameters))

    event.listen(app.database.engine, "before_cursor_execute", note)
    yield seen
    event.remove(app.database.engine, "before_cursor_execute", note)


def plan(app: App, seen: list[Statement]) -> str:
    """The query plan of a tick's statement that finds due schedules, in one line."""
    statement, parameters = next(one for one in seen if "next_slot_at <=" in one[0])
    explain = "EXPLAIN QUERY PLAN " if app.database.dialect == "sqlite" else "EXPLAIN (COSTS OFF) "
    with app.database.read() as connection:
        rows = connection.exec_driver_sql(explain + statement, parameters).all()
    return " / ".join(" ".join(str(row[-1]).split()) for row in rows)


def measure(url: str, exists: int, due: int, rounds: int) -> str:
    """One line of the table."""
    app = boot.configure(boot.build(Settings(database_url=url, log_level="error")))
    schema.upgrade(app.database)
    fill(app, exists)
    periodic = Periodic(app)
    ticks, looks = [], []
    for number in range(rounds + 1):
        make_due(app, due)
        began = time.perf_counter()
        with statements(app) as seen:
            done = periodic.tick()
        if done.fired != due:
            raise SystemExit(f"{done.fired} slots fired where {due} were due")
        if number:  # the first fills caches
            ticks.append(time.perf_counter() - began)
    for _ in range(rounds * 5):
        began = time.perf_counter()
        periodic.beat()
        looks.append(time.perf_counter() - began)
    made = plan(app, seen)
    app.close()
    tick, look = (f"{1000 * statistics.median(times):.2f} ms" for times in (ticks, looks))
    return f"| {app.database.dialect} | {exists:,} | {tick} | {look} | `{made}` |"


def _name(n: int) -> str:
    return f"n-{n:05}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--due", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--exists", type=int, nargs="+", default=[100, 10_000])
    asked = parser.parse_args()
    print(f"| ledger | schedules | a tick with {asked.due} due | a look with none due | plan |")
    print("| --- | --- | --- | --- | --- |")
    for exists in asked.exists:
        with tempfile.TemporaryDirectory() as folder:
            print(measure(f"sqlite:///{folder}/jobs.db", exists, asked.due, asked.rounds), flush=True)
    with closing(PostgresServer(fsync=True)) as server:
        server.start()
        for exists in asked.exists:
            print(measure(server.create_database(), exists, asked.due, asked.rounds), flush=True)
    print(f"\nPython {platform.python_version()}, medians of {asked.rounds} ticks.")


if __name__ == "__main__":
    main()
