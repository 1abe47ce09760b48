"""``jobs_enqueue``, ``jobs_cancel`` and ``jobs_signal`` in PostgreSQL: for other languages, and for triggers."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest

import jobs
from jobs import FOREVER, Job, KeyConflict, Retry, RunState
from jobs.definition.published import published_kinds
from jobs.ledger.effects.signals import list_signals
from jobs.ledger.published_kinds import find_published, publish_kinds
from jobs.migration import schema
from tests.conftest import MakeApp


class SqlShip(Job, queue="goods", priority=7, retry=Retry.never(), version=3):
    order: int
    note: str | None = None
    weight: float = 1.0

    def perform(self) -> None: ...


class SqlInvoice(Job, unique=FOREVER):
    order: int

    def perform(self) -> None: ...

    def idempotency_key(self) -> str:
        return f"order-{self.order}"


def publish(app) -> None:
    with app.database.write() as connection:
        publish_kinds(connection, [one for one in published_kinds(1000) if one.kind in ("SqlShip", "SqlInvoice")])


@pytest.fixture
def app(pg_database, make_app: MakeApp, monkeypatch):
    made = make_app(pg_database)
    monkeypatch.setattr("jobs.boot._app", made)
    publish(made)
    return made


@pytest.fixture
def sql(app, pg_database):
    """Any client of the database."""
    with closing(psycopg.connect(pg_database)) as connection:
        yield connection


def call(sql, arguments: str) -> UUID:
    found: UUID = sql.execute(f"select jobs_enqueue({arguments})").fetchone()[0]
    return found


def test_a_run_has_the_options_that_workers_published(app, sql):
    run_id = call(sql, "'SqlShip', '{\"order\": 7}'")
    sql.rollback()
    with pytest.raises(jobs.NotFound):
        jobs.find(run_id)

    run_id = call(sql, "'SqlShip', '{\"order\": 7}', delay => '1 hour', tags => array['eu'], correlation_id => 'r1'")
    sql.commit()

    run = jobs.find(run_id)
    assert (run.kind, run.queue, run.priority, run.max_attempts, run.arguments_version) == ("SqlShip", "goods", 7, 1, 3)
    assert (run.arguments, run.tags, run.correlation_id) == ({"order": 7}, ["eu"], "r1")
    assert run.run_at - run.created_at == timedelta(hours=1)
    assert run_id.version == 7
    assert run.enqueued_by.startswith("sql/")


def test_a_trigger_enqueues_for_each_row_that_commits(app, sql):
    sql.execute("create table orders (id int)")
    sql.execute(
        "create function ship() returns trigger language plpgsql as $$ begin"
        " perform jobs_enqueue('SqlShip', jsonb_build_object('order', new.id)); return new; end $$"
    )
    sql.execute("create trigger ship after insert on orders for each row execute function ship()")
    sql.execute("insert into orders select generate_series(1, 3)")
    sql.execute("savepoint one")
    sql.execute("insert into orders values (4)")
    sql.execute("rollback to savepoint one")
    sql.commit()

    assert sorted(row[0] for row in sql.execute("select arguments ->> 'order' from job_runs")) == ["1", "2", "3"]


def test_workers_are_woken_by_the_commit(app, sql, pg_database):
    with closing(psycopg.connect(pg_database, autocommit=True)) as worker:
        worker.execute("listen jobs_ready")
        call(sql, "'SqlShip', '{\"order\": 7}'")
        assert list(worker.notifies(timeout=0.1)) == []
        sql.commit()
        assert len(list(worker.notifies(timeout=60, stop_after=1))) == 1


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ("'Shipp'", "No worker has published the kind Shipp"),
        ("'SqlShip'", "lack the field order"),
        ("'SqlShip', '[]'", "are a JSON object"),
        ("'SqlShip', null", "are a JSON object"),
        ("'SqlShip', '{\"order\": \"seven\"}'", "Field order of SqlShip takes .*integer.*, got string"),
        ("'SqlShip', '{\"order\": 7.5}'", "got number"),
        ("'SqlShip', '{\"order\": 7, \"note\": 3}'", "Field note"),
        ("'SqlShip', '{\"order\": 7, \"nobody\": 3}'", "no field nobody"),
        ("'SqlShip', jsonb_build_object('order', 7, 'note', repeat('x', 2000))", "more than 1000 bytes"),
        ("'SqlShip', '{\"order\": 7}', queue => 'a b'", "cannot name a queue"),
        ("'SqlShip', '{\"order\": 7}', key => ''", "A key is printable text"),
        ("'SqlShip', '{\"order\": 7}', priority => 5000", "priority_range"),
        ("'SqlShip', '{\"order\": 7}', delay => '1 day', run_at => now()", "not both"),
        ("'SqlShip', '{\"order\": 7}', run_at => 'infinity'", "would be due at"),
        ("'SqlInvoice', '{\"order\": 7}'", "SqlInvoice is unique, but there is no key"),
    ],
)
def test_values_that_no_worker_could_perform_are_refused(app, sql, arguments, why):
    with pytest.raises(psycopg.Error, match=why):
        call(sql, arguments)

    sql.rollback()
    assert sql.execute("select count(*) from job_runs").fetchone() == (0,)


def test_values_that_fit_are_taken(app, sql):
    for arguments in ('{"order": 7.0}', '{"order": 7, "note": null}', '{"order": 7, "weight": 2}'):
        call(sql, f"'SqlShip', '{arguments}'")


def test_a_key_is_held_over_both_languages(app, sql):
    first = call(sql, "'SqlShip', '{\"order\": 7}', key => 'k'")
    assert call(sql, "'SqlShip', '{\"order\": 7}', key => 'k'") == first
    sql.commit()
    assert jobs.enqueue_many([SqlShip(order=8)])[0].created
    with pytest.raises(psycopg.errors.UniqueViolation, match="whose arguments differ"):
        call(sql, "'SqlShip', '{\"order\": 8}', key => 'k'")
    sql.rollback()
    with pytest.raises(KeyConflict):
        SqlShip(order=8).enqueue(key="k")

    # Held for ever, whoever came first, and after the run has ended.
    ours = SqlInvoice(order=1).enqueue()
    assert call(sql, "'SqlInvoice', '{\"order\": 1}', key => 'order-1'") == ours.id
    theirs = call(sql, "'SqlInvoice', '{\"order\": 2}', key => 'order-2'")
    sql.commit()
    assert SqlInvoice(order=2).enqueue() == jobs.Enqueued(theirs, created=False)
    jobs.cancel(theirs)
    assert call(sql, "'SqlInvoice', '{\"order\": 2}', key => 'order-2'") == theirs


def test_jobs_cancel_does_what_cancel_does(app, sql):
    run_id = call(sql, "'SqlShip', '{\"order\": 7}'")
    assert sql.execute("select jobs_cancel(%s, 'not wanted')", [run_id]).fetchone() == ("cancelled",)
    assert sql.execute("select jobs_cancel(%s)", [run_id]).fetchone() == (None,)
    sql.commit()
    assert jobs.find(run_id).state is RunState.CANCELLED

    held = call(sql, "'SqlShip', '{\"order\": 7}'")
    sql.execute(
        "update job_runs set hold = 'waiting', held_at = now(), held_on = 'signal:x', due_at = now(),"
        " run_at = '9999-12-31' where id = %s",
        [held],
    )
    sql.execute("select jobs_cancel(%s)", [held])
    sql.commit()
    assert sql.execute("select hold, due_at, run_at < now() from job_runs where id = %s", [held]).fetchone() == (
        None,
        None,
        True,
    )

    followed = SqlShip(order=1).enqueue(on_cancelled=[SqlShip(order=2)]).id
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="has follow-ups"):
        sql.execute("select jobs_cancel(%s)", [followed])


def test_jobs_signal_records_the_first_and_frees_the_run_that_waits(app, sql):
    waiting, other = (call(sql, "'SqlShip', '{\"order\": 7}'") for _ in range(2))
    sql.execute(
        "update job_runs set hold = 'waiting', held_at = now(), held_on = 'signal:approval', run_at = '9999-12-31'"
    )

    def signal(run_id, name, payload="null"):
        return sql.execute("select jobs_signal(%s, %s, %s)", [run_id, name, payload]).fetchone()[0]

    assert signal(waiting, "approval", '{"by": "ann"}') is True
    assert signal(waiting, "approval", '{"by": "bob"}') is False
    assert signal(other, "another") is True
    assert signal("0199f4c2-a7d8-7b3c-9a52-3f1de0c9165b", "approval") is None
    sql.commit()
    held = dict(sql.execute("select id, hold from job_runs").fetchall())
    assert held == {waiting: None, other: "waiting"}
    with app.database.read() as connection:
        (sent,) = list_signals(connection, waiting)
    assert (sent.name, sent.payload) == ("approval", {"by": "ann"})
    assert sent.sent_by.startswith("sql/")
    for run_id, name, why in ((other, "", "printable name"), (other, "a\nb", "printable name")):
        with pytest.raises(psycopg.Error, match=why):
            signal(run_id, name)
        sql.rollback()
    sql.execute("select jobs_cancel(%s)", [other])
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="has ended"):
        signal(other, "late")


def test_publishing_again_writes_only_what_changed(app):
    with app.database.read() as connection:
        before = find_published(connection, ["SqlShip"])
        moment = connection.exec_driver_sql("select published_at from job_published_kinds").scalars().all()
    publish(app)
    with app.database.read() as connection:
        assert connection.exec_driver_sql("select published_at from job_published_kinds").scalars().all() == moment
        assert find_published(connection, ["SqlShip", "nothing"]) == before


def test_a_schema_of_our_own_holds_functions_that_work_from_any_search_path(pg_server, make_app):
    url = pg_server.create_database()
    app = make_app(url, database_schema="work")
    schema.upgrade(app.database)
    publish(app)
    with closing(psycopg.connect(url)) as sql:
        sql.execute("select work.jobs_enqueue('SqlShip', '{\"order\": 7}')")
        sql.commit()
        assert sql.execute("select count(*) from work.job_runs").fetchone() == (1,)
    app.close()
    pg_server.drop_database(url)
