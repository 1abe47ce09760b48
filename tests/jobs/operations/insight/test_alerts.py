"""What is wrong now: each trouble is told, with the command that mends it, and nothing is told where nothing is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from jobs.alerting.grouping import fingerprint_of
from jobs.app import App
from jobs.ledger import workers
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.control.pause import pause
from jobs.operations.control.targets import set_target
from jobs.operations.insight.alerts import Alert, alerts
from jobs.operations.insight.health import look
from jobs.states import Cause, Outcome, RunState
from tests.book import BOOM, Book

ADA = Operator("ada@desk")


@pytest.fixture
def book(app: App) -> Book:
    return Book(app.database, now=datetime.now(UTC))


def told(app: App, operator: Operator = ADA) -> dict[str, Alert]:
    return {one.code: one for one in alerts(app, operator)}


def serve(app: App, *queues: str) -> None:
    with app.database.write() as connection:
        workers.register(
            connection, "desk/1/0", host="desk", pid=1, version="0", queues=queues, kinds=["Mail"], threads=4
        )


def test_an_empty_ledger_has_no_alert(app: App) -> None:
    assert alerts(app, ADA) == []


def test_ready_runs_without_a_worker_are_an_alert(app: App, book: Book) -> None:
    book.enqueue()

    (one,) = alerts(app, ADA)

    assert (one.code, one.is_bad, one.sentence) == ("no_worker", True, "No worker is live; 1 run is ready.")
    assert one.command.startswith("worker ")


def test_a_queue_without_workers_is_an_alert(app: App, book: Book) -> None:
    serve(app, "default")
    book.enqueue(queue="mail and more")

    one = told(app)["unserved"]

    assert (one.is_bad, one.subject, one.command) == (True, "mail and more", "worker --queue 'mail and more'")


def test_a_queue_beyond_its_target_is_an_alert(app: App, book: Book) -> None:
    serve(app, "default")
    book.step(-3600)
    book.enqueue()

    one = told(app)["late"]

    assert one.sentence == "The oldest ready run of default has waited 1h; 5m is the target."
    assert one.command == "list --queue default --state ready"


def test_a_queue_is_late_by_its_own_target(app: App, book: Book) -> None:
    serve(app, "default")
    book.step(-60)
    book.enqueue()
    assert "late" not in told(app)

    set_target(app, ADA, "default", latency=timedelta(seconds=30))

    assert told(app)["late"].sentence == "The oldest ready run of default has waited 1m; 30s is the target."


def test_dead_letters_are_an_alert_by_group_and_hide_errors_without_the_permission(app: App, book: Book) -> None:
    for _ in range(2):
        held = book.start()
        book.end(held, Outcome.FAILED, failure=BOOM, cause=Cause.EXHAUSTED)

    assert told(app)["dead"].sentence == "2 of Mail are dead: ValueError: boom"
    assert told(app)["dead"].command == "dlq replay --fingerprint 0123456789ab"
    viewer = Operator("viewer", frozenset({Permission.RUNS_READ}))
    assert told(app, viewer)["dead"].sentence == "2 of Mail are dead: ValueError"


def test_a_pause_is_an_alert_with_who_and_why(app: App, book: Book) -> None:
    serve(app, "default")
    book.enqueue()
    pause(app, ADA, "queue", "default", reason="provider is down")

    one = told(app)["paused"]

    assert one.sentence.startswith("The queue default has been paused by ada@desk for ")
    assert one.sentence.endswith(": provider is down")
    assert one.command == "queues resume default"
    assert "unserved" not in told(app)


def test_a_run_whose_worker_is_gone_is_an_alert(app: App, book: Book) -> None:
    serve(app, "default")
    book.step(-60)
    book.start()

    assert told(app)["lost"].sentence == "1 running run is lost: its worker is gone. A live one rescues it."


def test_health_reports_each_part(app: App) -> None:
    before = {one.name: one.is_well for one in look(app, ADA)}
    serve(app, "default")
    after = {one.name: one.is_well for one in look(app, ADA)}

    assert before == {"Ledger": True, "Ready index": None, "Workers": False, "Scheduler": None}
    assert after["Workers"] is True


def test_a_budget_that_burns_and_a_kind_that_is_late_are_alerts(app: App, book: Book) -> None:
    set_target(app, ADA, "default", success=0.995, is_new=True)
    set_target(app, ADA, "Mail", what="kind", latency=timedelta(seconds=5), is_new=True)
    for state in (RunState.DEAD, RunState.DEAD, RunState.SUCCEEDED, RunState.SUCCEEDED):
        book.bring(state)
    assert "late" not in told(app)
    book.change(book.enqueue(), run_at=book.now - timedelta(seconds=60), state_at=book.now - timedelta(seconds=60))

    found = told(app)

    burning = found["burning"]
    assert (burning.is_bad, burning.subject, burning.command) == (True, "default", "list --queue default --state dead")
    assert burning.sentence == (
        "The error budget of the queue default burns at 100.0 times its rate: 2 of 4 runs died in 1h; 99.5% is the"
        " target."
    )
    assert (found["late"].subject, found["late"].command) == ("Mail", "list --kind Mail --state ready")
    of_queue = replace(burning, subject="Mail", command="list --queue Mail --state dead")
    of_kind = replace(of_queue, command="list --kind Mail --state dead")
    assert fingerprint_of(of_queue) != fingerprint_of(of_kind), "both are told"
    assert found["late"].sentence.startswith("The oldest ready Mail has waited 1m")
