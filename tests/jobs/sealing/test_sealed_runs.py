"""Sealed arguments from enqueue to forgetting: in clear in no table, and opened in their own place only."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import String, cast, inspect, select, text

import jobs
from jobs.app import App
from jobs.database.models import Base
from jobs.definition.redaction import Redaction
from jobs.errors import (
    ArgumentsRefused,
    Conflict,
    DefinitionError,
    EnqueueRefused,
    Forbidden,
    NotFound,
    SelectorRefused,
)
from jobs.ledger.queries.selectors import Selector
from jobs.operations.audit.actions import list_actions
from jobs.operations.audit.operator import ROLES, Operator
from jobs.operations.bulk.action import carry_out, plan
from jobs.operations.bulk.replay import ReplayAction
from jobs.operations.runs.detail import detail
from jobs.operations.runs.inspect import list_runs
from jobs.operations.runs.selector import SelectorInput, make_selector
from jobs.operations.seals.forgetting import forget_subject
from jobs.operations.seals.opening import open_run
from jobs.operations.seals.rotation import rotate
from jobs.sealing.filters import with_hashes
from jobs.sealing.keys import HASH, new_key
from jobs.sealing.seal_errors import SealKeyMissing
from jobs.states import Outcome, RunState
from jobs.testing import Ledger
from tests.conftest import MakeApp

CANARY = "canary-4111-ünïcode"
ADA = Operator("ada")
HASH_LINE = f"{HASH} {new_key()}\n"
seen: list[Any] = []


class Card(jobs.Job, kind="sealed.Card"):
    order_id: int
    card: jobs.Sealed[str]
    fails: bool = False

    def idempotency_key(self) -> str | None:
        return f"card-{self.card}"

    def perform(self) -> None:
        seen.append(self.card)
        self.run.log(f"charging {self.card}")
        if self.fails:
            raise ValueError(f"declined: {self.card}")


class Report(jobs.Job, kind="sealed.Report", seal=True, subject="person"):
    person: int
    notes: list[str]

    def perform(self) -> dict[str, Any]:
        cursor = self.run.cursor("place", start="none")
        step = self.run.once("ask", lambda: f"step {self.notes[0]}")
        with cursor.advance(to=f"cursor {self.notes[0]}"):
            pass
        seen.append((step, self.run.effect_key("ask")))
        return {"said": self.notes[0]}


class Parent(jobs.Job, kind="sealed.Parent"):
    def perform(self) -> Any:
        return len(self.run.gather("reports", [Report(person=3, notes=[CANARY])])[0]["said"])


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.touch(mode=0o600)
    path.write_text(f"one {new_key()}\n{HASH_LINE}")
    return path


@pytest.fixture
def ledger(ledger_url: str, keys: Path) -> Iterator[Ledger]:
    seen.clear()
    with Ledger(ledger_url, seal_keys_file=keys) as made:
        yield made


def everything(app: App) -> str:
    """All that the tables of the ledger hold, as text."""
    found = []
    with app.database.read() as connection:
        names = set(inspect(connection).get_table_names())
        for table in Base.metadata.sorted_tables:
            if table.name in names:
                rows = connection.execute(select(*(cast(column, String) for column in table.c)))
                found += [json.dumps([str(one) for one in row], ensure_ascii=False) for row in rows]
    return "\n".join(found)


def test_no_table_and_no_log_holds_what_is_sealed_and_the_jobs_get_it_in_clear(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    app = ledger.app
    Card(order_id=1, card=CANARY, fails=True).enqueue(on_dead=[Card(order_id=2, card=f"{CANARY}-2")])
    jobs.enqueue_many(Card(order_id=n, card=f"{CANARY}-{n}") for n in range(100, 160))
    with jobs.batch("cards", on_end=[Card(order_id=3, card=f"{CANARY}-3")]) as batch:
        batch.add(Card(order_id=4, card=f"{CANARY}-4"))
    report = Report(person=42, notes=[CANARY]).enqueue()
    Parent().enqueue()
    before = everything(app)

    ledger.drain(advance=timedelta(days=30))

    for text_of in (before, everything(app), caplog.text):
        assert "canary" not in text_of
    assert {CANARY, *(f"{CANARY}-{n}" for n in (2, 3, 4, 100, 159))} <= {one for one in seen if isinstance(one, str)}
    assert all(run.state is not RunState.QUEUED for run in ledger.runs())
    assert jobs.find(report.id).result == {"said": CANARY}
    assert jobs.find(report.id).arguments == {"person": 42, "notes": [CANARY]}
    (dead,) = [run for run in ledger.runs(Card) if run.state is RunState.DEAD]
    assert dead.error_message == "declined: (sealed)"
    shown = detail(app, ADA, str(dead.id))
    assert shown.run.arguments == {"order_id": 1, "card": "(sealed)", "fails": True}
    assert {str(one.result) for one in detail(app, ADA, str(report.id)).steps.items} == {"(sealed)"}


def test_values_moved_to_another_run_or_field_are_refused_and_the_run_is_dead(ledger: Ledger) -> None:
    one, other = (Card(order_id=n, card=f"{CANARY}-{n}").enqueue().id for n in (1, 2))
    with ledger.app.database.write() as connection:
        swapped = {run: raw(ledger.app, run) for run in (one, other)}
        for run, text_of in ((one, swapped[other]), (other, swapped[one])):
            connection.execute(
                text("update job_runs set arguments = " + json_param(ledger.app) + " where id = :id"),
                {"given": text_of, "id": run.hex if ledger.app.database.dialect == "sqlite" else run},
            )

    done = ledger.drain()

    assert seen == []
    assert {(each.run.state, each.run.cause) for each in done} == {(RunState.DEAD, jobs.Cause.BAD_ARGUMENTS)}
    assert "was sealed for another run or field" in str(done[0].run.error_message)


def raw(app: App, run_id: UUID) -> str:
    from jobs.ledger.runs.move import arguments_text

    with app.database.read() as connection:
        return arguments_text(connection, [run_id])[run_id]


def json_param(app: App) -> str:
    return ":given" if app.database.dialect == "sqlite" else "cast(:given as json)"


def test_equal_arguments_share_a_key_and_filters_find_them_by_hash(ledger: Ledger) -> None:
    app = ledger.app
    first = Card(order_id=1, card=CANARY).enqueue()
    assert Card(order_id=1, card=CANARY).enqueue() == type(first)(first.id, created=False)
    with pytest.raises(jobs.KeyConflict):
        Card(order_id=2, card=CANARY).enqueue()
    assert Card(order_id=3, card=CANARY).enqueue(on_conflict="replace").id == first.id
    Card(order_id=4, card="another").enqueue()

    for asked in (
        SelectorInput(arguments=(f"card={CANARY}",)),
        SelectorInput(where=f'args.card:"{CANARY}"'),
        SelectorInput(keys=(f"card-{CANARY}",)),
    ):
        assert [one.id for one in list_runs(app, ADA, make_selector(app, asked)).runs] == [first.id]

    ledger.drain()
    assert seen == [CANARY, "another"]  # Also after the replacement, whose row has the id of the first.


def test_filters_of_other_kinds_need_no_keys(make_app: MakeApp, sqlite_url: str) -> None:
    app = make_app(sqlite_url)
    for asked in (Selector(keys=("order:1",)), Selector(arguments=(("card.no", "4111"),))):
        assert with_hashes(app, asked) == asked
        with pytest.raises((SealKeyMissing, SelectorRefused)):
            with_hashes(app, replace(asked, kinds=("sealed.Card",)))


def test_a_worker_without_the_key_gives_the_run_back_and_names_the_key(
    ledger: Ledger, keys: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = Card(order_id=1, card=CANARY).enqueue()
    whole = keys.read_text()
    keys.write_text(f"other {new_key()}\n{HASH_LINE}")
    ledger.app.seals.keys.key_set(ledger.app, look=True)

    performed = ledger.perform(run.id)

    assert (performed.outcome, performed.run.state, performed.run.charged) == (Outcome.SNOOZED, RunState.QUEUED, 0)
    assert "Sealed run given back" in caplog.text
    assert [one.key_id for one in caplog.records if "given back" in one.message] == ["one"]  # type: ignore[attr-defined]
    keys.write_text(whole)
    ledger.drain(advance=timedelta(minutes=1))
    assert seen == [CANARY]


def test_without_keys_nothing_is_enqueued(ledger_url: str) -> None:
    with Ledger(ledger_url) as ledger:
        with pytest.raises(SealKeyMissing, match="JOBS_SEAL_KEYS_FILE is not set"):
            Card(order_id=1, card=CANARY).enqueue()
        assert ledger.runs() == []


def test_rotation_seals_everything_again_and_the_old_key_may_go(ledger: Ledger, keys: Path) -> None:
    app = ledger.app
    waiting = Card(order_id=1, card=CANARY).enqueue(on_success=[Card(order_id=2, card=f"{CANARY}-2")])
    report = Report(person=42, notes=[CANARY]).enqueue()
    ledger.perform(report.id)
    effect = seen[-1][1]
    keys.write_text(f"two {new_key()}\n{keys.read_text()}")

    done = rotate(app, ADA, reason="yearly")

    assert (done.values, done.subjects, done.broken, done.is_whole) == (2, 1, 0, True)
    assert rotate(app, ADA).values == 0
    lines = keys.read_text().splitlines()
    keys.write_text("\n".join([lines[0], *lines[2:]]))
    app.seals.subjects.forget()
    app.seals.keys.key_set(app, look=True)
    ledger.perform(waiting.id)
    ledger.drain()
    assert seen[-2:] == [CANARY, f"{CANARY}-2"]
    assert jobs.find(report.id).result == {"said": CANARY}
    assert effect.startswith(str(report.id))
    assert list_actions(app, ADA, limit=2)[1]["verb"] == "rotate_seals"


def test_a_forgotten_subject_is_unreadable_and_the_others_are_not(ledger: Ledger) -> None:
    app = ledger.app
    gone, waiting, kept = (Report(person=n, notes=[f"{CANARY}-{n}"]).enqueue().id for n in (987_654, 987_654, 7))
    ledger.perform(gone)

    forget_subject(app, ADA, "987654", reason="asked by mail")

    assert jobs.find(gone).arguments == {"person": "(sealed)", "notes": "(sealed)"}
    performed = ledger.perform(waiting)
    assert (performed.run.state, performed.run.cause) == (RunState.DEAD, jobs.Cause.GAVE_UP)
    assert ledger.perform(kept).run.state is RunState.SUCCEEDED
    assert jobs.find(kept).result == {"said": f"{CANARY}-7"}
    assert "987654" not in str(list_actions(app, ADA, limit=1)[0]["target"])
    with pytest.raises(NotFound):
        forget_subject(app, ADA, "987654")
    Report(person=987_654, notes=["again"]).enqueue()  # Who comes back gets a new key.


def test_an_opening_for_a_person_needs_a_permission_and_is_on_record(ledger: Ledger) -> None:
    run = Card(order_id=1, card=CANARY).enqueue()

    with pytest.raises(Forbidden):
        open_run(ledger.app, Operator("ola", ROLES["operator"]), str(run.id))
    opened = open_run(ledger.app, ADA, str(run.id), reason="refund")

    assert opened.arguments["card"] == CANARY
    (entry,) = list_actions(ledger.app, ADA)
    assert (entry["verb"], entry["reason"], entry["target"]) == ("open_sealed", "refund", f"run {run.id}")


def test_a_replay_seals_again_for_the_new_run(ledger: Ledger) -> None:
    app = ledger.app
    run = Card(order_id=1, card=CANARY).enqueue()
    ledger.perform(run.id)
    which = make_selector(app, SelectorInput(ids=(str(run.id),), states=("succeeded",)))
    for changes in ({}, {"order_id": 9}, {"card": f"{CANARY}-new"}):
        act = ReplayAction(app=app, operator=ADA, changes=changes)
        carry_out(app, ADA, act, plan(app, ADA, act, which))
        ledger.drain()

    assert seen == [CANARY, CANARY, CANARY, f"{CANARY}-new"]
    assert "canary" not in everything(app)


def test_a_bundle_holds_neither_value_nor_ciphertext(ledger: Ledger) -> None:
    run = Card(order_id=1, card=CANARY).enqueue()
    stored = raw(ledger.app, run.id)

    redaction = Redaction()
    schema = Card.model_json_schema()

    assert redaction.arguments(json.loads(stored), schema) == {"order_id": 1, "card": "(sealed)", "fails": False}
    assert redaction.data({"inner": json.loads(stored)["card"]}) == {"inner": "(sealed)"}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"subject": "nobody"}, "is no field of it"),
        ({"limits": jobs.Limit(1, by="secret")}, "would show a sealed value"),
        ({"fair_by": "secret"}, "would show a sealed value"),
        ({"schedule": jobs.Cron("0 * * * *")}, "a schedule cannot hold"),
    ],
)
def test_an_option_that_would_show_a_sealed_value_is_refused(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(DefinitionError, match=reason):
        type(
            "Wrong",
            (jobs.Job,),
            {"__annotations__": {"secret": jobs.Sealed[str] | None}, "secret": None, "perform": lambda self: None},
            kind="sealed.Wrong",
            **options,
        )


def test_a_caller_without_the_class_cannot_store_a_sealed_field_in_clear(ledger: Ledger) -> None:
    from jobs.definition.published import check_published, published_kinds

    (published,) = [one for one in published_kinds(10_000) if one.kind == "sealed.Card"]

    with pytest.raises(ArgumentsRefused, match="card takes sealed"):
        check_published(published, {"order_id": 1, "card": CANARY})


def test_a_schedule_with_sealed_arguments_is_refused(ledger: Ledger) -> None:
    from jobs.operations.schedules.rows import new_columns

    with pytest.raises(EnqueueRefused, match="a schedule cannot hold"):
        new_columns(ledger.app, "sealed.Card", {"order_id": 1, "card": CANARY}, jobs.Cron("0 * * * *"), "nightly")


def test_ours_are_errors_of_ours() -> None:
    assert issubclass(jobs.SealBroken, ArgumentsRefused)
    assert not issubclass(jobs.SealKeyMissing, Conflict)
