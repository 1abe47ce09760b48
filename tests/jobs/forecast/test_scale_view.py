"""The view ``jobs_scale`` on both dialects: its columns are a promise, and its signal follows backlog and target."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from jobs.app import App
from jobs.database.models import JobQueue
from jobs.ledger import workers
from jobs.ledger.targets.set_targets import TargetRecord, write_target
from jobs.observe.gauges.ledger_metrics import LedgerMetrics
from jobs.states import Outcome
from tests.book import Book


def scale(app: App) -> dict[str, dict[str, Any]]:
    with app.database.read() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM jobs_scale").mappings().all()
    return {row["queue"]: dict(row) for row in rows}


def test_the_view_and_the_metrics_say_how_many_processes_each_queue_wants(app: App) -> None:
    book = Book(app.database, now=datetime.now(UTC))
    assert scale(app) == {}
    book.enqueue(queue="new")
    for _ in range(41):
        book.enqueue(queue="bulk")
    with app.database.write() as connection:
        for number in range(8):
            workers.register(
                connection, f"w{number}", host="h", pid=number, version="1", queues=["calm"], kinds=["Mail"], threads=4
            )  # fmt: skip
        workers.register(
            connection, "b", host="h", pid=9, version="1", queues=["bulk", "held"], kinds=["Mail"], threads=4
        )  # fmt: skip
        connection.execute(JobQueue.__table__.insert().values(name="held", paused_at=book.now))
        write_target(connection, "queue", "bulk", TargetRecord(60))
    (held,) = book.claim_due(1, queue="bulk")
    book.end(held, Outcome.SUCCEEDED, elapsed=30.0)
    (_,) = book.claim_due(1, queue="bulk")

    found = scale(app)

    assert list(found["bulk"]) == [
        "queue", "ready", "running", "workers", "threads", "target_seconds", "is_paused", "workers_wanted",
    ]  # fmt: skip
    bulk = found["bulk"]
    assert (bulk["ready"], bulk["running"], bulk["workers"], bulk["threads"], bulk["target_seconds"]) == (
        39,
        1,
        1,
        4,
        60,
    )
    assert bulk["workers_wanted"] == 6, "one that runs, and 39 of 30 s each within 60 s, by four threads each"
    assert {name: one["workers_wanted"] for name, one in found.items() if name != "bulk"} == {
        "new": 1,  # Nothing has ended yet: one, to find out.
        "calm": 6,  # Nothing to do, but damped.
        "held": 0,
    }
    page = LedgerMetrics(app).page().decode()
    assert 'jobs_workers_wanted{queue="calm"} 6.0' in page
    assert 'jobs_workers_wanted{queue="held"} 0.0' in page
    assert 'jobs_queue_drain_seconds{queue="calm"} 0.0' in page
    assert 'jobs_queue_drain_seconds{queue="new"} +Inf' in page, "no worker serves it"
