"""Sealed arguments from enqueue to forgetting: in clear in no table, and opened in their own place only."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

import jobs
from jobs.app import App
from jobs.errors import ArgumentsRefused, Conflict, EnqueueRefused, NotFound
from jobs.operations.audit.actions import list_actions
from jobs.operations.runs.detail import detail
from jobs.operations.seals.forgetting import forget_subject
from jobs.operations.seals.rotation import rotate
from jobs.sealing.keys import new_key
from jobs.sealing.seal_errors import SealKeyMissing
from jobs.states import Outcome, RunState
from jobs.testing import Ledger
from tests.jobs.sealing.cards import ADA, CANARY, HASH_LINE, Card, everything, raw, seen
from tests.jobs.sealing.cards import keys as keys
from tests.jobs.sealing.cards import ledger as ledger


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


def json_param(app: App) -> str:
    return ":given" if app.database.dialect == "sqlite" else "cast(:given as json)"


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
