"""Names that callers made up hide nothing that an operator must see, and make no series of their own. (K2.8)"""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import insert, update

from jobs import Every
from jobs.app import App
from jobs.database.models import JobQueue, JobRun
from jobs.ledger import workers
from jobs.ledger.queries import gauges, reports
from jobs.ledger.schedules import schedules
from jobs.observe import metrics
from jobs.observe.exposition import CountsFolder
from jobs.observe.gauges import schedule_gauges
from jobs.observe.gauges.ledger_metrics import LedgerMetrics
from jobs.operations.audit.operator import Operator
from jobs.operations.insight.queues import look_at
from jobs.operations.runs.inspect import MOST_QUEUES, status
from tests.book import Book, new_run
from tests.jobs.operations.schedules.test_actions import columns
from tests.seen_app import Fine
from tests.worker_process import Series, parse, total

MADE_UP = 1_500


def _scrape(app: App) -> Series:
    return parse(LedgerMetrics(app).page().decode())


@pytest.fixture
def crowded(app: App) -> App:
    """A ledger with many made-up queues, and behind them by name one of each sort that must be seen."""
    book = Book(app.database, now=app.clock.now())
    now = app.clock.now()
    made_up = [new_run(queue=f"a-{n:05}") for n in range(MADE_UP)]
    book.insert([*made_up, new_run(queue="z-late"), new_run(queue="z-dead"), new_run(queue="z-served")])
    with app.database.write() as connection:
        connection.execute(update(JobRun).where(JobRun.queue == "z-late").values(run_at=now - timedelta(days=1)))
        ended = {"state": "dead", "cause": "gave_up", "finished_at": now, "state_at": now}
        connection.execute(update(JobRun).where(JobRun.queue == "z-dead").values(**ended))
        connection.execute(insert(JobQueue).values(name="z-paused", paused_at=now))
        serves = ["z-served", "z-idle"]
        workers.register(connection, "me", host="h", pid=1, version="1", queues=serves, kinds=["Fine"], threads=8)
    return app


def test_queues_that_are_paused_late_served_or_dead_are_named_however_many_others_there_are(crowded: App) -> None:
    series = _scrape(crowded)

    named = {dict(labels)["queue"] for name, labels in series if name == "jobs_queue_runs"}
    assert named >= {"z-late", "z-dead", "z-served", "z-paused"}
    assert total(series, "jobs_queue_oldest_age_seconds", queue="z-late") > 80_000
    assert total(series, "jobs_queue_workers", queue="z-idle") == 1
    every = {dict(labels)["queue"] for name, labels in series if "queue" in dict(labels)}
    assert len(every) == gauges.MAX_QUEUES


def test_queues_that_are_left_out_are_counted(crowded: App) -> None:
    series = _scrape(crowded)

    assert total(series, "jobs_queues_left_out") == MADE_UP + 5 - gauges.MAX_QUEUES
    shown = total(series, "jobs_queue_runs", state="ready")
    assert total(series, "jobs_queue_runs_left_out", state="ready") + shown == MADE_UP + 2


def test_status_and_a_queues_own_view_see_the_queues_behind_the_made_up_ones(crowded: App) -> None:
    me = Operator("ann")

    seen = status(crowded, me)
    shown = [one.queue for one in seen.shown_queues]

    assert {"z-late", "z-dead", "z-served", "z-paused"} <= set(shown)
    assert len(shown) == MOST_QUEUES
    assert seen.total("ready") == MADE_UP + 2
    count = look_at(crowded, me, "z-late").count
    assert count is not None
    assert count.ready == 1


def test_many_late_queues_do_not_hide_the_one_with_dead_runs() -> None:
    def queue(name: str, *, oldest: float | None = None, dead: int = 0, is_paused: bool = False) -> reports.QueueCount:
        counts = {"ready": 0, "scheduled": 0, "retrying": 0, "parked": 0, "waiting": 0, "running": 0}
        return reports.QueueCount(queue=name, dead=dead, oldest_seconds=oldest, is_paused=is_paused, **counts)

    crowd = [queue(f"a{n}", oldest=10.0 + n) for n in range(50)]
    wanted = [queue("dead", dead=3), queue("paused", is_paused=True), queue("oldest", oldest=99.0), queue("served")]

    first = reports.worst_first([*crowd, *wanted], served={"served"})[:4]

    assert {one.queue for one in first} == {"dead", "paused", "oldest", "served"}


def test_a_schedule_that_is_late_is_named_however_many_others_there_are(app: App, monkeypatch) -> None:
    monkeypatch.setattr(schedule_gauges, "MAX_SCHEDULES", 2)
    now = app.clock.now()
    slots = {"a": timedelta(hours=1), "b": timedelta(hours=2), "c": timedelta(hours=3), "z-late": -timedelta(days=1)}
    with app.database.write() as connection:
        for name, away in slots.items():
            values = {**columns(name, Every(timedelta(days=1))), "owner": "operator"}
            schedules.add(connection, values, next_slot_at=now + away, now=now)

    series = _scrape(app)

    assert total(series, "jobs_schedule_lateness_seconds", schedule="z-late") > 80_000
    assert total(series, "jobs_schedules_left_out") == 2


def test_a_worker_counts_queues_that_it_neither_serves_nor_declares_as_other(app: App) -> None:
    folder = CountsFolder()
    metrics.subscribe(app, folder.path, kinds=["Fine"], queues=["served"])
    for number in range(60):
        Fine(n=number).enqueue(queue=f"tenant-{number}")
    Fine().enqueue(queue="served")
    Fine().enqueue()

    series = parse(folder.page().decode())
    folder.close()

    queues = {dict(labels)["queue"] for name, labels in series if "queue" in dict(labels)}
    assert queues == {"default", "served", "other"}
    assert total(series, "jobs_enqueued_total", queue="other") == 60
