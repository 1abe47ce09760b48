"""K.6: a row that cannot be read stops nothing else: its run is set aside, and all other runs continue."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from jobs import Job, Retry
from jobs.app import App
from jobs.clock import new_run_id
from jobs.database.models import JobAttempt
from jobs.enqueue.write_path import enqueue_runs
from jobs.ledger.queries.find import list_attempts, list_runs
from jobs.ledger.records import NewRun
from jobs.ledger.run_records import RunRecord
from jobs.ledger.runs.claim import claim_due
from jobs.ledger.runs.lease import renew
from jobs.operations.audit.operator import Operator
from jobs.operations.insight import alerts
from jobs.states import RunState
from jobs.upkeep.ledger_reach import Reach
from jobs.upkeep.rescue import rescue_abandoned
from tests.worker.conftest import wait_for
from tests.worker.one_process import started

MOMENTS_PG = ["infinity", "-infinity", "0044-03-15 12:00:00+00 BC", "294000-01-01 00:00:00+00"]
MOMENTS_SQLITE = [
    "2026-01-01T00:00:00Z",
    "2026-01-01 00:00:00+05:00",
    "next week",
    "",
    1767225600,
    2461042.5,
    b"\xff\x00",
]
SET_ASIDE = {
    "postgresql": [
        *[(column, value) for column in ("created_at", "run_at", "scheduled_for") for value in MOMENTS_PG],
        ("attempt", 2147483647),
    ],
    "sqlite": [
        *[(column, value) for column in ("created_at", "run_at", "scheduled_for") for value in MOMENTS_SQLITE],
        *[("id", value) for value in ("not a uuid", "", 7, b"\xff\x00", "01A22ABA-27CF-73DC-9C61-37E702C2FF74")],
        *[(column, "x") for column in ("parent_id", "root_id")],
        *[(column, b"\xff") for column in ("correlation_id", "trace_context", "key", "schedule")],
        ("max_attempts", "many"),
        ("crashes", "x"),
        ("abandonments", 1.5),
        ("arguments_version", "x"),
        ("attempt", 2**63 - 1),
        ("attempt", 2147483647),
    ],
}
"""Rows that a claim meets: they are dead, with a cause of their own."""
GOES_ON = {
    "postgresql": [
        *[(column, value) for column in ("expires_at", "state_at", "started_at") for value in MOMENTS_PG[:2]],
        ("crashes", 2147483647),
        ("abandonments", 2147483647),
        ("max_attempts", 2147483647),
    ],
    "sqlite": [
        *[(column, value) for column in ("expires_at", "state_at", "started_at") for value in MOMENTS_SQLITE],
        *[(column, b"\xff") for column in ("arguments", "tags", "result", "progress", "enqueued_by", "worker")],
        ("arguments", "{"),
        ("arguments", b'{"n": "\xff"}'),
        ("replayed_from", "x"),
        ("error_type", b"\xff\xff"),
        ("has_followups", "x"),
    ],
}
"""Columns that a claim does not read, or reads unchanged; the results of these runs do not matter here."""


class Note(Job, queue="unreadable", kind="unreadable.Note"):
    n: int

    def perform(self) -> int:
        return self.n


def runs_of(count: int, queue: str = "unreadable") -> list[NewRun]:
    return [
        NewRun(id=new_run_id(), kind="unreadable.Note", queue=queue, arguments=f'{{"n": {n}}}', max_attempts=3)
        for n in range(count)
    ]


def spoil(app: App, run: NewRun, column: str, value: Any) -> None:
    """Write what no release of ours does."""
    shown = value
    if app.database.dialect == "postgresql" and isinstance(value, str):
        statement = f"update job_runs set {column} = '{value}' where id = :id"
        given: dict[str, Any] = {"id": run.id}
    else:
        statement, given = f"update job_runs set {column} = :value where id = :id", {"id": run.id.hex, "value": shown}
    with app.database.write() as connection:
        if app.database.dialect == "sqlite":
            connection.exec_driver_sql("pragma ignore_check_constraints = on")
        connection.execute(text(statement), given)
        if app.database.dialect == "sqlite":
            connection.exec_driver_sql("pragma ignore_check_constraints = off")


def every(app: App) -> list[RunRecord]:
    with app.database.read() as connection:
        return list_runs(connection, limit=1000)


def has_settled(app: App, ids: set[Any]) -> bool:
    return all(run.state is RunState.SUCCEEDED for run in every(app) if run.id in ids)


class TestARowThatAClaimCannotRead:
    def test_an_unreadable_run_is_dead_as_unreadable_and_others_are_performed(self, app):
        # K.6
        cases = SET_ASIDE[app.database.dialect]
        good, bad = runs_of(40), runs_of(len(cases))
        enqueue_runs(app, [*good[:20], *bad, *good[20:]])
        for run, (column, value) in zip(bad, cases, strict=True):
            spoil(app, run, column, value)
        later = {run.id for run, case in zip(bad, cases, strict=True) if case[0] == "run_at" and is_later(case[1])}
        # As it was written, its moment has not come.
        due = len(cases) - len(later)

        with started(app, "unreadable"):
            wait_for(lambda: has_settled(app, {run.id for run in good}), "the neighbours performed")
            wait_for(lambda: sum(run.state is RunState.DEAD for run in every(app)) >= due, "the others set aside")

        dead = [run for run in every(app) if run.state is RunState.DEAD]
        assert {run.cause for run in dead} == {"unreadable"}
        assert len(dead) == due
        with app.database.read() as connection:
            for run in dead:
                (attempt,) = list_attempts(connection, run.id)
                assert attempt.outcome == "gave_up"
                assert attempt.error_type == "Unreadable"
        said = " ".join(run.error_message or "" for run in dead)
        for column, _ in cases:
            assert f"{'run_id' if column == 'id' else column} holds" in said
        assert len(every(app)) == 40 + len(cases)

    def test_other_queues_are_served_beside_an_unreadable_run(self, app):
        # K.6
        bad, good = runs_of(3), runs_of(10, "beside")
        enqueue_runs(app, [*bad, *good])
        for run in bad:
            spoil(app, run, *SET_ASIDE[app.database.dialect][0])

        with started(app, "beside"):
            wait_for(lambda: has_settled(app, {run.id for run in good}), "the other queue performed")


def is_later(value: Any) -> bool:
    if isinstance(value, bytes):
        return True
    return isinstance(value, str) and (value in ("infinity", "next week") or value.startswith("294000"))


def test_an_unreadable_value_that_claims_do_not_read_stops_nothing(app):
    # K.6
    cases = GOES_ON[app.database.dialect]
    good, bad = runs_of(20), runs_of(len(cases))
    enqueue_runs(app, [*good[:10], *bad, *good[10:]])
    for run, (column, value) in zip(bad, cases, strict=True):
        spoil(app, run, column, value)

    with started(app, "unreadable"):
        wait_for(lambda: has_settled(app, {run.id for run in good}), "the neighbours performed")
        wait_for(lambda: not [run for run in every(app) if run.state in ("running",)], "every attempt ended")

    with app.database.read() as connection:
        for run in every(app):
            assert len(list_attempts(connection, run.id)) <= 3


def test_a_worker_that_fails_at_its_claims_again_and_again_says_so(app, monkeypatch):
    # K.6
    from jobs.errors import LedgerRefused

    def refuse(*args: Any, **options: Any) -> Any:
        raise LedgerRefused("The ledger refuses what it was given: no luck.")

    for name in ("due_candidates", "claim_due_direct"):
        monkeypatch.setattr(f"worker.exchange.source.{name}", refuse)

    with started(app, "unreadable") as process:
        wait_for(lambda: process._health.repeated(), "the failure noticed")
        process._heartbeat.renew()
        (found,) = [one for one in alerts.alerts(app, Operator("ada")) if one.code == "failing"]

        assert "claims fail: " in found.sentence
        assert "no luck" in found.sentence
        assert process.health()["problems"]


FAR_LEASES = {
    "postgresql": ["infinity", "294000-01-01 00:00:00+00", "2999-01-01 00:00:00+00"],
    "sqlite": ["infinity", "next week", b"\xff\x00", "9999-12-31 00:00:00.000000", "2999-01-01 00:00:00"],
}


def test_a_run_whose_lease_never_ends_is_rescued_when_its_holder_is_gone(ledger_url, make_app):
    # K.6
    app = make_app(ledger_url, lease=1)
    cases = FAR_LEASES[app.database.dialect]
    runs = runs_of(len(cases) + 1)
    enqueue_runs(app, runs)
    with app.database.write() as connection:
        claims = claim_due(
            connection,
            "unreadable",
            count=len(runs),
            kinds=["unreadable.Note"],
            worker="gone",
            lease=app.settings.lease,
        )
    for run, value in zip(runs, [*cases, cases[0]], strict=True):
        spoil(app, run, "lease_until", value)
    kept = next((one.run_id, one.token) for one in claims if one.run_id == runs[-1].id)

    reach = Reach(app.clock, lease=app.settings.lease)
    assert rescue_abandoned(app, reach=reach) == (0, [])

    def is_rescued():
        with app.database.write() as connection:
            # Its holder lives, and keeps what it has.
            assert renew(connection, [kept], lease=app.settings.lease) == {kept[1]}
        rescue_abandoned(app, reach=reach)
        return all(run.state is RunState.QUEUED for run in every(app) if run.id != kept[0])

    wait_for(is_rescued, "every run queued again")
    with app.database.read() as connection:
        for run in runs[:-1]:
            assert [one.outcome for one in list_attempts(connection, run.id)] == ["abandoned"]


class Fail(Job, queue="unreadable", retry=Retry(max_attempts=2, first=timedelta(milliseconds=1))):
    def perform(self) -> None:
        raise ValueError("no luck")


def take_attempt(app, run_id, number, outcome="crashed"):
    """Write an attempt's row before the attempt ends, as no release of ours does."""
    now = app.clock.now()
    with app.database.write() as connection:
        connection.execute(
            JobAttempt.__table__.insert().values(
                run_id=run_id, attempt=number, token=UUID(int=7), outcome=outcome, started_at=now, finished_at=now
            )
        )


class TestARowWithAnAttemptsNumber:
    @pytest.mark.parametrize("taken", [(1,), (1, 2), (1, 3), (1, 2**31 - 1)])
    def test_the_attempt_ends_under_the_next_free_number_and_so_do_its_neighbours(self, app, taken):
        # K.6
        runs = runs_of(20)
        enqueue_runs(app, runs)
        for number in taken:
            take_attempt(app, runs[7].id, number)

        with started(app, "unreadable"):
            wait_for(lambda: has_settled(app, {run.id for run in runs}), "every run succeeded")

        free = 3 if taken == (1, 2) else 2
        with app.database.read() as connection:
            stored = {one.attempt: one.outcome for one in list_attempts(connection, runs[7].id)}
            assert stored == {**dict.fromkeys(taken, "crashed"), free: "succeeded"}
            assert [one.attempt for one in list_attempts(connection, runs[8].id)] == [1]
        (run,) = [one for one in every(app) if one.id == runs[7].id]
        assert (run.attempt, run.result) == (free, 7)

    def test_a_run_with_an_odd_row_is_retried_and_every_attempt_is_recorded(self, app):
        # K.6
        run = NewRun(id=new_run_id(), kind="Fail", queue="unreadable", arguments="{}", max_attempts=2)
        enqueue_runs(app, [run])
        take_attempt(app, run.id, 1, "succeeded")
        take_attempt(app, run.id, 3, "succeeded")

        with started(app, "unreadable"):
            wait_for(lambda: every(app)[0].state is RunState.DEAD, "the run dead")

        with app.database.read() as connection:
            stored = {one.attempt: one.outcome for one in list_attempts(connection, run.id)}
        assert stored == {1: "succeeded", 2: "failed", 3: "succeeded", 4: "failed"}
        assert every(app)[0].cause == "exhausted"

    def test_a_lost_run_beside_an_unreadable_one_is_rescued(self, app):
        # K.6
        runs = runs_of(3)
        enqueue_runs(app, runs)
        with app.database.write() as connection:
            claim_due(
                connection,
                "unreadable",
                count=3,
                kinds=["unreadable.Note"],
                worker="gone",
                lease=timedelta(seconds=-60),
            )
        take_attempt(app, runs[1].id, 1, "abandoned")

        moved, _ = rescue_abandoned(app, reach=Reach(app.clock, lease=app.settings.lease))

        assert moved == 3
        assert {run.state for run in every(app)} == {RunState.QUEUED}
        with app.database.read() as connection:
            assert [one.attempt for one in list_attempts(connection, runs[1].id)] == [1, 2]
