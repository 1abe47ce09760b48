"""Ended runs move to history, and everybody reads both places as one."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, text

import jobs
from jobs import Job, Sealed, boot
from jobs.clock import new_run_id
from jobs.database.engine import Database
from jobs.errors import SignalRefused
from jobs.ledger import history_rows
from jobs.ledger.queries import find, plan_parts, reports
from jobs.ledger.queries.selectors import Selector
from jobs.operations.bulk.action import carry_out, plan
from jobs.operations.bulk.purge import PurgeAction
from jobs.operations.bulk.undo import plan_undo, undo
from jobs.operations.runs.signal import signal_run
from jobs.operations.seals import rotation
from jobs.operations.seals.rotation import rotate
from jobs.sealing.keys import new_key
from jobs.states import RunState
from jobs.upkeep.history import Mover
from tests.book import Book
from tests.jobs.upkeep.history.moved import COLD, HOT, ROOT, enable, everything, execute, fill, replay_action
from tests.seal_keys import keys as keys


class HistoryTestCard(Job):
    number: Sealed[str]

    def perform(self) -> None:
        pass


class HistoryTestMail(Job):
    def perform(self) -> None:
        pass


@pytest.fixture
def card_run(pg_database, make_app, keys, monkeypatch):
    """An app with seal keys and history, and a run with a sealed argument that ended an hour ago."""
    app = make_app(pg_database, seal_keys_file=keys)
    monkeypatch.setattr(boot, "_app", app)
    run_id = HistoryTestCard(number="4111").enqueue().id
    jobs.cancel(run_id)
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    Book(app.database).change(run_id, finished_at=an_hour_ago, state_at=an_hour_ago)
    enable(app)
    return app, run_id


def test_every_read_shows_the_same_before_and_after_runs_have_moved(app, book):
    ids = fill(book)
    enable(app)
    before = everything(app, ids)

    assert Mover(app).turn() is False

    moved, left = execute(app, COLD), execute(app, HOT)
    states = {one: book.run(one).state for one in ids}
    assert set(moved) == {one for one, state in states.items() if state not in ("queued", "running")}
    assert set(left) == set(ids) - set(moved)
    after = everything(app, ids)
    for name in before:
        assert after[name] == before[name], name


def test_a_rotation_of_keys_reaches_runs_that_have_moved(card_run, keys):
    app, run_id = card_run
    Mover(app).turn()
    assert execute(app, COLD) == [run_id]
    one, hashes = keys.read_text().splitlines()
    keys.write_text(f"two {new_key()}\n{one}\n{hashes}\n")

    assert rotate(app, ROOT).values == 1

    keys.write_text("\n".join([keys.read_text().splitlines()[0], hashes]))
    app.seals.keys.key_set(app, look=True)
    assert jobs.find(run_id).arguments == {"number": "4111"}


def test_a_run_that_moves_while_its_values_are_sealed_again_is_not_left_out(card_run, keys, monkeypatch):
    app, _ = card_run
    keys.write_text(f"two {new_key()}\n{keys.read_text()}")
    moved: list[int] = []

    def bring_back(connection, run_ids):
        found = history_rows.bring_back(connection, run_ids)
        if not moved:
            Mover(app).turn()
        moved.append(len(execute(app, COLD)))
        return found

    monkeypatch.setattr(rotation, "bring_back", bring_back)

    assert rotate(app, ROOT).values == 1

    assert moved[0] == 1
    (text_of,) = execute(app, "select arguments::text from job_runs")
    assert '"two.' in text_of


def test_what_something_still_needs_stays_in_the_hot_table(app, book):
    enable(app)
    young = Book(app.database, now=datetime.now(UTC) - timedelta(seconds=30))
    stay = [young.bring(RunState.SUCCEEDED)[0], book.bring(RunState.QUEUED)[0]]
    purged, grouped, scheduled = (book.bring(RunState.SUCCEEDED)[0] for _ in range(3))
    book.change(purged, deleted_at=book.now)
    book.change(grouped, batch_id=new_run_id(), has_followups=True)
    goes = book.bring(RunState.SUCCEEDED)[0]
    parent, child = book.bring(RunState.DEAD)[0], book.bring(RunState.DEAD)[0]
    with app.database.write() as connection:
        connection.execute(
            text("insert into job_parents values (:child, :parent, 0, 'run')"), {"child": child, "parent": parent}
        )
        connection.execute(text("insert into job_signals values (:id, 'go', null, now(), null)"), {"id": scheduled})

    Mover(app).turn()

    assert execute(app, COLD) == [goes]
    assert set(execute(app, HOT)) == {*stay, purged, grouped, scheduled, parent, child}


def test_actions_of_operators_reach_runs_that_have_moved_and_are_undone(app, book):
    dead, done = book.bring(RunState.DEAD)[0], book.bring(RunState.SUCCEEDED)[0]
    enable(app)
    mover = Mover(app)
    mover.turn()
    assert set(execute(app, COLD)) == {dead, done}

    chosen = Selector(states=("dead",))
    report = carry_out(app, ROOT, replay_action(app), plan(app, ROOT, replay_action(app), chosen))

    assert (report.done, report.skipped) == (1, 0)
    assert book.run(dead).state is RunState.QUEUED
    assert [one.attempt for one in book.attempts(dead)] == [1]
    assert execute(app, COLD) == [done]
    undo(app, ROOT, plan_undo(app, ROOT, str(report.action_id)))
    assert book.run(dead).state is RunState.DEAD
    erase = PurgeAction(erase=True)
    assert carry_out(app, ROOT, erase, plan(app, ROOT, erase, Selector(ids=(done,)))).done == 1
    assert book.run(done).arguments == {"erased": True}
    assert (execute(app, COLD), set(execute(app, HOT))) == ([], {dead, done})


def test_a_signal_and_a_dependent_find_a_run_that_has_moved(app, book):
    done = book.bring(RunState.SUCCEEDED)[0]
    enable(app)
    Mover(app).turn()

    with pytest.raises(SignalRefused, match="has ended"):
        signal_run(app, ROOT, str(done), "go")
    later = HistoryTestMail().enqueue(after=[done]).id

    assert book.run(later).hold is None
    assert execute(app, COLD) == []


def test_a_process_that_was_there_before_reads_both_in_time(app, book, make_app, pg_database, monkeypatch):
    other: Database = make_app(pg_database).database
    with other.read() as connection:
        assert connection.execute(text("select count(*) from job_runs")).scalar() == 0
    run_id = book.bring(RunState.SUCCEEDED)[0]
    enable(app)
    Mover(app).turn()

    # The next look, at the latest 20 s later; runs move a minute after history was enabled.
    monkeypatch.setattr("jobs.database.history_reads.LOOK_SECONDS", 0.0)
    other.history._look_at = 0.0
    with other.read() as connection:
        assert find.find_run(connection, run_id) is not None


def test_counts_of_live_runs_do_not_plan_over_the_partitions_of_history(app, book):
    enable(app)
    asked: list[str] = []
    with app.database.read() as connection:
        event.listen(connection, "before_cursor_execute", lambda *given: asked.append(given[2]))
        reports.queue_counts(connection)
        plan_parts.waiting_names(connection)

    of_runs = [one for one in asked if "job_runs" in one]
    of_history = [one for one in of_runs if "job_runs_all" in one or "job_history" in one]
    assert [re.findall(r"state = '(\w+)'", one) for one in of_history] == [["dead", "dead"]]
    assert re.findall(r"keep != '(\w+)'", of_history[0]) == ["cancelled", "succeeded"]
    assert len(of_runs) == 5
