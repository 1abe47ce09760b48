"""An operator says whether an unknown effect took place, and the run ends as it should."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

import pytest
from sqlalchemy import text

import jobs
from jobs import Cause, Job, RunState
from jobs.definition import registry
from jobs.errors import Conflict, Forbidden, JobsError, NotFound, StepRefused
from jobs.ledger.queries.selectors import Selector
from jobs.operations.audit.actions import find_action
from jobs.operations.audit.operator import ROLES, Operator
from jobs.operations.bulk.action import Report, carry_out, plan
from jobs.operations.bulk.replay import ReplayAction
from jobs.operations.bulk.undo import plan_undo, undo
from jobs.operations.effects.listing import list_effects
from jobs.operations.effects.resolve import Resolution, resolve
from jobs.states import Outcome
from jobs.testing import Crash, Ledger

ADA = Operator("ada")
HOUR = timedelta(hours=1)
STEPS = ("reserve", "label", "mail", "charge", "close")


class Shop:
    """The other side: it counts calls, and its process may die after one of them."""

    calls: ClassVar[list[str]] = []
    dies_after: ClassVar[list[str]] = []

    @classmethod
    def call(cls, name: str) -> str:
        cls.calls.append(name)
        if name in cls.dies_after:
            cls.dies_after.remove(name)
            raise Crash("died")
        return f"{name} done"


class Order(Job, kind="resolve.Order", retry=jobs.Retry(max_attempts=2)):
    def perform(self) -> list[str]:
        return [self.run.once(name, partial(Shop.call, name), if_unknown="stop") for name in STEPS]


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    Shop.calls, Shop.dies_after = [], ["charge"]
    with Ledger(ledger_url) as ledger:
        yield ledger


@pytest.fixture(autouse=True, scope="module")
def forget() -> Iterator[None]:
    yield
    registry.forget("resolve.Order")


@pytest.fixture
def run(ledger: Ledger) -> UUID:
    """A run with three steps done, which is dead because nobody knows of the fourth."""
    run_id = Order().enqueue().id
    ledger.perform(run_id)
    (last,) = ledger.drain(advance=HOUR)
    assert (last.run.state, last.run.cause) == (RunState.DEAD, Cause.UNKNOWN_EFFECT)
    return run_id


def found(ledger: Ledger, run: UUID, **given: Any) -> Resolution:
    return resolve(ledger.app, ADA, str(run), "charge", **{"took_place": True, "result": "told", **given})


def replay(ledger: Ledger, run: UUID, **given: Any) -> Report:
    states = given.pop("states", ("dead",))
    act = ReplayAction(app=ledger.app, operator=ADA, **given)
    return carry_out(ledger.app, ADA, act, plan(ledger.app, ADA, act, Selector(ids=(run,), states=states)))


def take_back(ledger: Ledger, done: Resolution) -> Report:
    return undo(ledger.app, ADA, plan_undo(ledger.app, ADA, str(done.action_id)))


@pytest.mark.parametrize(
    ("given", "result", "calls"),
    [
        ({"took_place": True, "result": {"id": 7}}, {"id": 7}, 1),
        ({"took_place": True, "result": None}, None, 1),
        ({"took_place": False, "result": None}, "charge done", 2),
    ],
)
def test_the_run_goes_on_and_no_other_call_is_made_twice(
    ledger: Ledger, run: UUID, given: dict[str, Any], result: Any, calls: int
) -> None:
    done = found(ledger, run, reason="asked the bank", **given)
    (last,) = ledger.drain()

    assert last.run.state is RunState.SUCCEEDED
    assert last.run.result == ["reserve done", "label done", "mail done", result, "close done"]
    assert {name: Shop.calls.count(name) for name in STEPS} == dict.fromkeys(STEPS, 1) | {"charge": calls}
    action, (note,) = find_action(ledger.app, ADA, str(done.action_id))
    assert (action["verb"], action["actor"], action["reason"], action["done"]) == (
        "resolve",
        "ada",
        "asked the bank",
        1,
    )
    assert action["options"] == {"step": "charge", "took_place": given["took_place"]}
    assert (note.before or {})["state"] == "dead"
    assert (note.after or {})["state"] == "queued"
    assert "7" not in str((note.before or {})["step"].get("result"))


@pytest.mark.parametrize("took_place", [True, False])
def test_it_can_be_undone_until_the_run_is_performed(ledger: Ledger, run: UUID, took_place: bool) -> None:
    before = jobs.steps(run)
    done = found(ledger, run, took_place=took_place)
    assert take_back(ledger, done).done == 1
    assert jobs.steps(run) == before
    assert list_effects(ledger.app, ADA, Selector(), only_unknown=True).effects[0].run.state is RunState.DEAD

    again = found(ledger, run, took_place=took_place)
    ledger.drain()
    report = take_back(ledger, again)

    assert (report.done, report.skipped) == (0, 1)
    assert jobs.find(run).state is RunState.SUCCEEDED


def test_a_replay_that_keeps_the_steps_says_what_to_do_instead_of_dying_again(ledger: Ledger, run: UUID) -> None:
    report = replay(ledger, run)

    ((_, why),) = report.some_skipped
    assert why == "it is unknown whether its step 'charge' took place; record it with effects resolve"
    assert jobs.find(run).state is RunState.DEAD
    assert replay(ledger, run, from_step="close").some_skipped[0][1] == "it has no step 'close'"
    assert replay(ledger, run, reset_steps=True).done == 1


def test_a_replay_from_a_step_keeps_what_came_before_it(ledger: Ledger, run: UUID) -> None:
    assert replay(ledger, run, from_step="mail").done == 1
    (last,) = ledger.drain()
    assert last.run.state is RunState.SUCCEEDED
    assert Shop.calls == ["reserve", "label", "mail", "charge", "mail", "charge", "close"]

    Shop.calls = []
    report = replay(ledger, run, from_step="charge", states=("succeeded",))
    ledger.drain()

    ((_, new),) = report.new_runs
    assert Shop.calls == ["charge", "close"]
    assert [one.name for one in jobs.steps(new)] == list(STEPS)


def test_a_run_with_another_unknown_effect_is_reopened_once_both_are_resolved(ledger: Ledger, run: UUID) -> None:
    with ledger.app.database.write() as connection:
        connection.execute(text("update job_steps set finished_at = null, result = null where name = 'mail'"))

    first = found(ledger, run)
    assert (first.is_reopened, first.unknown) == (False, ("mail",))
    second = resolve(ledger.app, ADA, str(run), "mail", took_place=True, result="m")
    assert (second.is_reopened, second.unknown) == (True, ())
    assert take_back(ledger, first).skipped == 1
    assert take_back(ledger, second).done == 1


def test_a_known_effect_cannot_be_resolved(ledger: Ledger, run: UUID) -> None:
    def refused(error: type[JobsError], says: str, **given: Any) -> None:
        who = given.pop("by", ADA)
        asked = {"run": str(run), "step": "charge", "took_place": True, **given}
        with pytest.raises(error, match=says):
            resolve(ledger.app, who, **asked)

    before = (jobs.find(run), jobs.steps(run))
    refused(Conflict, "has ended: it is not unknown. Nothing was changed", step="mail")
    refused(NotFound, "has no step 'nosuch'", step="nosuch")
    refused(NotFound, "no run", run="00000000")
    refused(StepRefused, "cannot be stored", result=object())
    refused(Forbidden, "may not", by=Operator("v", ROLES["viewer"]))
    assert (jobs.find(run), jobs.steps(run)) == before

    found(ledger, run, took_place=False)
    ledger.drain()
    refused(Conflict, "has succeeded")


def test_an_effect_under_way_is_left_to_its_attempt(ledger: Ledger) -> None:
    said: list[str] = []

    class Slow(Job, kind="resolve.Slow"):
        def perform(self) -> None:
            self.run.once("call", self.call)

        def call(self) -> None:
            (one,) = list_effects(ledger.app, ADA, Selector(ids=(self.run.id,)), only_unknown=True).effects
            said.append(one.word)
            with pytest.raises(Conflict, match="is being performed"):
                resolve(ledger.app, ADA, str(self.run.id), "call", took_place=True)

    assert ledger.perform(Slow()).outcome is Outcome.SUCCEEDED
    assert said == ["under way"]
    registry.forget("resolve.Slow")


def test_unknown_effects_are_listed_without_results_for_who_may_not_read_them(ledger: Ledger, run: UUID) -> None:
    viewer = Operator("v", ROLES["viewer"])

    (unknown,) = list_effects(ledger.app, viewer, Selector(), only_unknown=True).effects
    every = list_effects(ledger.app, viewer, Selector(ids=(run,)), only_unknown=False).effects

    assert (unknown.run.id, unknown.step.name, unknown.word) == (run, "charge", "unknown")
    assert [(one.step.name, one.word) for one in every] == [(name, "done") for name in STEPS[:3]] + [
        ("charge", "unknown")
    ]
    assert {one.step.result for one in every} == {"(hidden)"}
