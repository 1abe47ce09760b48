"""Ended runs move to history, everybody reads both as one, and retention drops partitions. PostgreSQL only. (Q.1)"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text

import jobs
from jobs import Job, Sealed, boot
from jobs.app import App
from jobs.clock import new_run_id
from jobs.database.engine import Database
from jobs.definition.published import PublishedKind
from jobs.errors import Conflict, SignalRefused
from jobs.ledger.effects import attempt_logs
from jobs.ledger.history import partitions
from jobs.ledger.published_kinds import publish_kinds
from jobs.ledger.queries import error_groups, find, lineage, pagination, reports, series
from jobs.ledger.queries.selectors import Selector
from jobs.migration import schema
from jobs.operations.audit.operator import Operator
from jobs.operations.bulk.action import carry_out, plan
from jobs.operations.bulk.purge import PurgeAction
from jobs.operations.bulk.replay import ReplayAction
from jobs.operations.bulk.undo import plan_undo, undo
from jobs.operations.control.history import disable_history, enable_history, history_status
from jobs.operations.runs.signal import signal_run
from jobs.operations.seals.rotation import rotate
from jobs.sealing.keys import new_key
from jobs.states import Outcome, RunState
from jobs.upkeep.history import BATCH_SECONDS, LEAST, MOST, Mover, next_size
from tests.book import BOOM, Book

ROOT = Operator("root")


class HistoryTestCard(Job):
    number: Sealed[str]

    def perform(self) -> None:
        pass


class HistoryTestMail(Job):
    def perform(self) -> None:
        pass


HISTORY_KEPT = PublishedKind("Kept", "default", 0, 3, 1, False, 0.0, None, 1000, retain_seconds=30 * 86400.0)
HOT = "select id from job_runs"
COLD = "select id from job_history"


@pytest.fixture
def app(pg_database: str, make_app: Callable[..., App], monkeypatch: pytest.MonkeyPatch) -> App:
    made = make_app(pg_database, retain_dead="never")
    monkeypatch.setattr(boot, "_app", made)
    return made


@pytest.fixture
def book(app: App) -> Book:
    """A book whose now is an hour ago: what ends in it may move."""
    return Book(app.database, now=datetime.now(UTC) - timedelta(hours=1))


def enable(app: App, **given: Any) -> None:
    """As an operator does, a minute ago."""
    enable_history(app, ROOT, **given)
    execute(app, "update job_history_settings set moves_after = now()")


def execute(app: App, statement: str) -> list[Any]:
    with app.database.write() as connection:
        found = connection.execute(text(statement))
        return list(found.scalars()) if found.returns_rows else []


def everything(app: App, ids: list[UUID]) -> dict[str, Any]:
    """What lists, pages and commands show of these runs."""
    with app.database.read() as connection:
        shown = {str(one): pagination.newest(connection, one, limit=50) for one in SELECTORS}
        return {
            **shown,
            "counts": {str(one): pagination.tally(connection, one) for one in SELECTORS},
            "up to": {str(one): pagination.count_up_to(connection, one, most=3) for one in SELECTORS},
            "runs": [find.find_run(connection, one) for one in ids],
            "by tail": [find.resolve_id(connection, str(one)[-12:]) for one in ids],
            "all": find.list_runs(connection),
            "logs": [attempt_logs.find_log(connection, one) for one in ids],
            "attempts": [find.list_attempts(connection, one) for one in ids],
            "dead": reports.dead_groups(connection),
            "errors": error_groups.error_groups(connection, since=datetime.now(UTC) - timedelta(days=1)),
            "queues": reports.queue_counts(connection, now=START + timedelta(hours=2)),
            "states": reports.count_by_state(connection),
            "minutes": series.minutes(connection, since=START, until=START + timedelta(minutes=90)),
            "latencies": series.latencies(connection),
            "children": lineage.children(connection, ids[0]),
        }


START = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=65)
SELECTORS = (
    Selector(),
    Selector(states=("dead",)),
    Selector(states=("succeeded",), kinds=("Mail",)),
    Selector(queues=("q*",)),
    Selector(fingerprints=(BOOM.fingerprint,)),
    Selector(keys=("k1",)),
    Selector(tags=("red",)),
    Selector(errors=("boom",)),
    Selector(since=datetime.now(UTC) - timedelta(hours=2), states=("cancelled",)),
)


def fill(book: Book) -> list[UUID]:
    """Runs of every state, with keys, tags, errors, retries and a child."""
    ids = [book.bring(state, queue=f"q{place}", kind="Mail")[0] for place, state in enumerate(RunState)]
    held = book.start(queue="q1", key="k1", tags='["red"]', max_attempts=2)
    book.end(held, Outcome.FAILED, failure=BOOM)
    book.step(60)
    (again,) = book.claim(held.run_id)
    book.end(again, Outcome.FAILED, failure=BOOM, cause=None)
    with book.database.write() as connection:
        log = "insert into job_attempt_logs values (:id, 2, gen_random_uuid(), cast(:lines as json), 1, 0, now())"
        connection.execute(text(log), {"id": held.run_id, "lines": '[[1, 2, 3, "x", "hello"]]'})
    child = book.start(parent_id=ids[0])
    book.end(child, Outcome.SUCCEEDED, result={"sum": 3})
    return [*ids, held.run_id, child.run_id]


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


def test_a_rotation_of_keys_reaches_runs_that_have_moved(pg_database, make_app, tmp_path, monkeypatch):
    keys = tmp_path / "keys"
    keys.touch(mode=0o600)
    keys.write_text(f"one {new_key()}\nhash {new_key()}\n")
    app = make_app(pg_database, seal_keys_file=keys)
    monkeypatch.setattr(boot, "_app", app)
    run_id = HistoryTestCard(number="4111").enqueue().id
    jobs.cancel(run_id)
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    Book(app.database).change(run_id, finished_at=an_hour_ago, state_at=an_hour_ago)
    enable(app)
    Mover(app).turn()
    assert execute(app, COLD) == [run_id]
    one, hashes = keys.read_text().splitlines()
    keys.write_text(f"two {new_key()}\n{one}\n{hashes}\n")

    assert rotate(app, ROOT).values == 1

    keys.write_text("\n".join([keys.read_text().splitlines()[0], hashes]))
    app.seals.keys.key_set(app, look=True)
    assert jobs.find(run_id).arguments == {"number": "4111"}


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
    report = carry_out(app, ROOT, _replay(app), plan(app, ROOT, _replay(app), chosen))

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


def test_retention_drops_partitions_that_are_over_their_time_and_no_others(app, book, make_app, pg_database):
    now = datetime.now(UTC)
    enable(app, period="day")
    dead, fresh, _ = (
        Book(app.database, now=now - timedelta(days=days)).bring(state)[0]
        for days, state in ((20, RunState.DEAD), (2, RunState.SUCCEEDED), (20, RunState.SUCCEEDED))
    )
    Mover(app).turn()
    assert len(execute(app, COLD)) == 3
    status = history_status(app, ROOT)
    assert {one.rule for one in status.partitions} == {"succeeded", "cancelled", "dead"}
    assert {one.drops_at for one in status.partitions if one.rule == "dead"} == {None}

    Mover(app).turn()

    assert set(execute(app, COLD)) == {dead, fresh}
    assert len(execute(app, "select run_id from job_attempts_history")) == 2


def test_a_kind_with_a_time_of_its_own_has_partitions_of_its_own(app, book):
    with app.database.write() as connection:
        publish_kinds(connection, [HISTORY_KEPT])
    enable(app, period="day")
    old = Book(app.database, now=datetime.now(UTC) - timedelta(days=20))
    long, short = old.bring(RunState.SUCCEEDED)[0], old.bring(RunState.SUCCEEDED)[0]
    old.change(long, kind="Kept")

    Mover(app).turn()
    assert set(execute(app, COLD)) == {long, short}
    Mover(app).turn()

    assert execute(app, COLD) == [long]
    (status,) = [one for one in history_status(app, ROOT).partitions if one.rule == "keep_2592000"]
    assert status.drops_at == status.end + timedelta(days=30)


def test_a_reader_of_an_old_transaction_delays_the_drop_and_loses_nothing(app, book, monkeypatch, pg_database):
    monkeypatch.setattr(partitions, "DETACH_LIMIT", timedelta(milliseconds=100))
    enable(app, period="day")
    Book(app.database, now=datetime.now(UTC) - timedelta(days=20)).bring(RunState.SUCCEEDED)
    Mover(app).turn()
    with closing(psycopg.connect(pg_database)) as report:
        report.execute("select * from job_runs_all")
        with pytest.raises(Exception, match="lock"):
            Mover(app).turn()
        # Nobody else waits meanwhile.
        with closing(psycopg.connect(pg_database, options="-c lock_timeout=100ms")) as other:
            other.execute("select count(*) from job_runs_all")
            other.rollback()
        report.rollback()

    Mover(app).turn()

    assert execute(app, COLD) == []
    assert not [one for one in history_status(app, ROOT).partitions if one.rows]
    assert history_status(app, ROOT).detached == []


def test_a_partition_that_somebody_detached_is_named_and_left_alone(app, book):
    book.bring(RunState.SUCCEEDED)
    enable(app)
    Mover(app).turn()
    (part,) = execute(app, "select distinct tableoid::regclass::text from job_history")
    execute(app, f"alter table job_history_succeeded detach partition {part}")
    book.bring(RunState.SUCCEEDED)

    Mover(app).turn()

    assert [one.name for one in history_status(app, ROOT).detached] == [part]
    assert len(execute(app, COLD)) == 1
    assert len(execute(app, f"select id from {part}")) == 1


def test_a_column_of_a_later_release_stops_moves_until_history_has_it(app, book, caplog):
    run_id = book.bring(RunState.SUCCEEDED)[0]
    enable(app)
    execute(app, "alter table job_runs add column later text default 'x'")

    Mover(app).turn()

    assert (execute(app, COLD), execute(app, HOT)) == ([], [run_id])
    assert "History lacks columns" in caplog.text
    schema.upgrade(app.database)
    Mover(app).turn()
    assert execute(app, "select later from job_history") == ["x"]
    execute(app, "alter table job_history_settings alter moves_after set default now()")


def test_a_column_that_a_migration_adds_between_two_looks_is_not_lost(app, book):
    enable(app)
    mover = Mover(app)
    mover.turn()
    run_id = book.bring(RunState.SUCCEEDED)[0]
    execute(app, "alter table job_runs add column later text default 'x'")
    schema.upgrade(app.database)

    mover.turn()

    assert (execute(app, COLD), execute(app, HOT)) == ([], [run_id])
    mover.turn()
    assert execute(app, "select later from job_history") == ["x"]


def test_a_batch_of_several_rules_and_days_with_large_values_moves_whole(app, book):
    with app.database.write() as connection:
        publish_kinds(connection, [HISTORY_KEPT])
    enable(app, period="day")
    ids = []
    for days in (0, 3, 2):
        old = Book(app.database, now=datetime.now(UTC) - timedelta(days=days, hours=1))
        ids += [old.bring(RunState.SUCCEEDED)[0] for _ in range(2)]
        old.change(ids[-1], kind="Kept", arguments=json.dumps({"large": secrets.token_hex(100_000)}))
    with app.database.read() as connection:
        before = find.find_runs(connection, ids)

    Mover(app).turn()

    assert set(execute(app, COLD)) == set(ids)
    with app.database.read() as connection:
        assert find.find_runs(connection, ids) == before
    assert len(execute(app, "select run_id from job_attempts_history")) == len(ids)


@pytest.mark.parametrize(
    ("size", "seconds", "following"),
    [
        (1000, BATCH_SECONDS, 1000),
        (1000, 0.0, 2000),
        (1000, BATCH_SECONDS * 4, 250),
        (LEAST, 60.0, LEAST),
        (MOST, 0.001, MOST),
    ],
)
def test_the_next_batch_has_as_many_runs_as_take_a_tenth_of_a_second(size, seconds, following):
    assert next_size(size, seconds) == following


def test_disabled_history_moves_nothing_more_and_stays_readable(app, book):
    moved = book.bring(RunState.SUCCEEDED)[0]
    enable(app)
    Mover(app).turn()
    disable_history(app, ROOT)
    stays = book.bring(RunState.SUCCEEDED)[0]

    Mover(app).turn()

    assert (execute(app, COLD), execute(app, HOT)) == ([moved], [stays])
    assert {one.id for one in everything(app, [moved, stays])["all"]} == {moved, stays}
    assert history_status(app, ROOT).state == "disabled"
    with pytest.raises(Conflict, match="off already"):
        disable_history(app, ROOT)


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


def test_each_run_is_in_exactly_one_place_while_movers_and_operators_race_and_die(app, book, pg_database):
    ids = [book.bring(RunState.DEAD)[0] for _ in range(60)]
    enable(app)
    over = threading.Event()
    wrong: list[Any] = []

    def watch() -> None:
        with closing(psycopg.connect(pg_database, autocommit=True)) as connection:
            while not over.is_set():
                found = connection.execute("select count(*), count(distinct id) from job_runs_all").fetchone()
                if found != (len(ids), len(ids)):
                    wrong.append(found)

    def kill() -> None:
        with closing(psycopg.connect(pg_database, autocommit=True)) as connection:
            while not over.is_set():
                connection.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()"
                    " and query ~* '(delete|insert).*job_' and state <> 'idle' and pid <> pg_backend_pid()"
                )
                over.wait(0.005)

    threads = [threading.Thread(target=one) for one in (watch, kill)]
    for one in threads:
        one.start()
    try:
        for _ in range(15):
            for act in (lambda: Mover(app).turn(), lambda: _replay_and_kill(app, ids[::2])):
                try:
                    act()
                except Exception:
                    continue
    finally:
        over.set()
        for one in threads:
            one.join(60)

    assert wrong == []
    assert sorted(execute(app, HOT) + execute(app, COLD)) == sorted(ids)


def _replay(app: App) -> ReplayAction:
    return ReplayAction(app=app, operator=ROOT)


def _replay_and_kill(app: App, ids: list[UUID]) -> None:
    chosen = Selector(ids=tuple(ids), states=("dead",))
    report = carry_out(app, ROOT, _replay(app), plan(app, ROOT, _replay(app), chosen))
    undo(app, ROOT, plan_undo(app, ROOT, str(report.action_id)))


@pytest.fixture(autouse=True)
def no_connection_is_left(app: App) -> Iterator[None]:
    yield
    app.database.close()
