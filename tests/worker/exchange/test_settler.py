"""Settler: how it records a result that the ledger cannot store unchanged."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from typing import Any

import pytest

from jobs import GiveUp, Job
from jobs.app import App
from jobs.clock import new_run_id
from jobs.enqueue.write_path import enqueue_runs
from jobs.ledger.queries.find import list_attempts, list_runs
from jobs.ledger.records import NewRun
from jobs.ledger.run_records import RunRecord
from jobs.states import RunState
from tests.worker.conftest import wait_for
from tests.worker.one_process import started

NAN, INF = float("nan"), float("inf")
RESULTS = {
    "nan": (NAN, None),
    "inf": ([INF, -INF, 1.5], [None, None, 1.5]),
    "deep": ({"mean": {"of": [NAN]}, "word": "NaN"}, {"mean": {"of": [None]}, "word": "NaN"}),
}


class Measure(Job, queue="settler"):
    name: str

    def perform(self) -> Any:
        return RESULTS[self.name][0]


def measure(name: str) -> NewRun:
    return NewRun(id=new_run_id(), kind="Measure", queue="settler", arguments=f'{{"name": "{name}"}}', max_attempts=3)


def every(app: App) -> dict[Any, RunRecord]:
    with app.database.read() as connection:
        return {run.id: run for run in list_runs(connection, limit=100)}


def have_ended(app: App) -> bool:
    return all(run.finished_at is not None for run in every(app).values())


def test_nan_and_infinity_in_a_result_are_kept_as_null_with_a_warning(app, caplog: pytest.LogCaptureFixture):
    # K.7: alike on both dialects.
    runs = {name: measure(name) for name in RESULTS}
    enqueue_runs(app, list(runs.values()))

    with started(app, "settler"):
        wait_for(lambda: have_ended(app), "every run ended")

    stored = every(app)
    for name, run in runs.items():
        assert stored[run.id].state is RunState.SUCCEEDED
        assert stored[run.id].result == RESULTS[name][1]
    warned = {record.run_id for record in caplog.records if record.getMessage() == "Result stored with values replaced"}
    assert warned == {str(run.id) for run in runs.values()}


class Thing:
    """What a job holds in a local variable."""


class Holding(Job, queue="settler"):
    def perform(self) -> None:
        thing = Thing()
        held.append(weakref.ref(thing))
        raise GiveUp(f"with {thing!r} in its frame")


held: list[weakref.ref[Thing]] = []


def test_what_a_failed_job_held_is_free_once_its_end_is_recorded(app):  # K2.C
    held.clear()
    Holding().enqueue()

    with started(app, "settler"):
        wait_for(lambda: held and have_ended(app), "the run ended")
        wait_for(lambda: gc.collect() >= 0 and held[0]() is None, "nothing holds what it held")


def test_an_ending_whose_follow_up_is_refused_ends_its_run_failed_and_its_neighbours_succeed(app):
    # K.7: the last resort, when what was checked before has let something through.
    runs = [measure("inf") for _ in range(10)]
    bad = runs[4].id
    enqueue_runs(app, runs)

    with started(app, "settler") as process:
        put = process._settler.put

        def put_with_a_follow_up(delivery: Any) -> None:
            if delivery.attempt_result is not None and delivery.claim.run_id == bad:
                # No release of ours makes a run of this priority, and no database holds one.
                delivery.attempt_result.then = (replace(measure("inf"), priority=5_000),)
            put(delivery)

        process._settler.put = put_with_a_follow_up  # type: ignore[method-assign]
        wait_for(lambda: have_ended(app), "every run ended")

    stored = every(app)
    assert set(stored) == {run.id for run in runs}
    assert {run.id for run in stored.values() if run.state is RunState.SUCCEEDED} == set(stored) - {bad}
    run = stored[bad]
    assert (run.state, run.cause, run.error_type) == (RunState.DEAD, "bad_arguments", "Unrecordable")
    assert run.error_message is not None
    assert run.error_message.startswith("The runs that follow this one cannot be recorded: ")
    with app.database.read() as connection:
        assert [one.outcome for one in list_attempts(connection, bad)] == ["failed"]
