"""K.6: a row that cannot be read stops nothing else: its run is set aside, and all other runs continue."""

from __future__ import annotations

from typing import Any

from jobs.enqueue.write_path import enqueue_runs
from jobs.ledger.queries.find import list_attempts
from jobs.operations.audit.operator import Operator
from jobs.operations.insight import alerts
from jobs.states import RunState
from tests.worker.conftest import wait_for
from tests.worker.one_process import started
from tests.worker.spoiled import every, has_settled, runs_of, spoil

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
