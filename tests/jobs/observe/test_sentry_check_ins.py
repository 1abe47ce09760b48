"""A slot that fires begins a check-in at Sentry, and the end of its run ends it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from jobs.events import RunDeadLettered, SlotFired
from jobs.ledger.admission.insert import insert_runs
from jobs.ledger.schedules import schedules
from jobs.observe import sentry
from jobs.observe.check_ins import slug
from jobs.scheduling.schedule import Cron, Every
from jobs.scheduling.serialize import write_data
from jobs.states import Cause, Outcome, RunState
from tests.book import new_run
from tests.conftest import MakeApp
from tests.jobs.observe.sentry_receiver import Receiver, ended
from tests.jobs.observe.sentry_receiver import receiver as receiver


@pytest.mark.parametrize(
    ("schedule", "config"),
    [
        (
            Cron("0 3 * * *", timezone="Europe/Paris"),
            {"schedule": {"type": "crontab", "value": "0 3 * * *"}, "timezone": "Europe/Paris", "max_runtime": 31},
        ),
        (
            Every(timedelta(hours=2)),
            {"schedule": {"type": "interval", "value": 2, "unit": "hour"}, "max_runtime": 31},
        ),
        (Every(timedelta(seconds=90)), None),
    ],
    ids=["cron", "every", "seconds"],
)
def test_a_slot_that_fires_begins_a_check_in_and_its_runs_end_ends_it(
    schedule: Any, config: Any, receiver: Receiver, make_app: MakeApp, sqlite_url: str
) -> None:
    app = make_app(sqlite_url, sentry_dsn=receiver.dsn, sentry_crons=True)
    row = {
        "name": "Nightly report", "owner": "operator", "kind": "Keeper", "queue": "mail", "priority": 0,
        "arguments": "{}", "arguments_version": 1, "max_attempts": 3, "definition": write_data(schedule),
    }  # fmt: skip
    with app.database.write() as connection:
        schedules.add(connection, row, next_slot_at=None, now=app.clock.now())
    close = sentry.subscribe(app)
    run_id = uuid4()

    app.events.emit([SlotFired("Nightly report", "Keeper", app.clock.now(), run_id, 0.1)])
    app.events.emit([ended(Outcome.FAILED, RunState.QUEUED, run_id=run_id, schedule="Nightly report")])
    app.events.emit([ended(Outcome.SUCCEEDED, RunState.SUCCEEDED, run_id=run_id, schedule="Nightly report")])
    app.events.emit([ended(Outcome.GAVE_UP, RunState.DEAD, schedule="other")])
    app.events.emit([ended(Outcome.SUCCEEDED, RunState.SUCCEEDED)])
    close()

    told = receiver.items("check_in")
    assert [(one["monitor_slug"], one["status"]) for one in told] == [
        (slug("Nightly report"), "in_progress"),
        (slug("Nightly report"), "ok"),
        ("other", "error"),
    ]
    assert {one["check_in_id"] for one in told[:2]} == {run_id.hex}
    assert [one.get("monitor_config") for one in told] == [config, None, None]


def test_a_scheduled_run_that_a_dead_process_held_ends_its_check_in_too(
    receiver: Receiver, make_app: MakeApp, sqlite_url: str
) -> None:
    app = make_app(sqlite_url, sentry_dsn=receiver.dsn, sentry_crons=True, sentry_retry_level="off")
    close = sentry.subscribe(app)
    made, other = new_run(schedule="nightly"), new_run()
    with app.database.write() as connection:
        insert_runs(connection, [made, other])

    for run in (made, other):
        app.events.emit([ended(Outcome.CRASHED, RunState.DEAD, run_id=run.id, waited_seconds=None)])
    app.events.emit([RunDeadLettered(made.id, "Mail", "default", Cause.UNKNOWN_KIND)])
    close()

    assert [(one["monitor_slug"], one["status"]) for one in receiver.items("check_in")] == [("nightly", "error")] * 2


def test_check_ins_are_sent_only_when_asked_for(receiver: Receiver, make_app: MakeApp, sqlite_url: str) -> None:
    app = make_app(sqlite_url, sentry_dsn=receiver.dsn)
    close = sentry.subscribe(app)

    app.events.emit([SlotFired("nightly", "Keeper", app.clock.now(), uuid4(), 0.1)])
    app.events.emit([ended(Outcome.SUCCEEDED, RunState.SUCCEEDED, schedule="nightly")])
    close()

    assert receiver.raw == []
