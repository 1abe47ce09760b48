"""Retention drops whole partitions of history; what somebody does to a partition by hand is named and left alone."""

from __future__ import annotations

import json
import secrets
from contextlib import closing
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from jobs.definition.published import PublishedKind
from jobs.errors import Conflict
from jobs.ledger.history import partitions
from jobs.ledger.published_kinds import publish_kinds
from jobs.ledger.queries import find
from jobs.migration import schema
from jobs.operations.control.history import disable_history, history_status
from jobs.states import RunState
from jobs.upkeep.history import BATCH_SECONDS, LEAST, MOST, Mover, next_size
from tests.book import Book
from tests.jobs.upkeep.history.moved import COLD, HOT, ROOT, enable, everything, execute

HISTORY_KEPT = PublishedKind("Kept", "default", 0, 3, 1, False, 0.0, None, 1000, retain_seconds=30 * 86400.0)


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
