"""Every migration is read for what it locks, and ``migrate up --plan`` says it before it happens. (Q.2)"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from admin_cli.setup.migrate import print_plan
from jobs.migration import schema
from jobs.migration.lock_plan import Lock, steps_of
from jobs.migration.plan import plan


@pytest.fixture
def url(pg_server) -> Iterator[str]:
    pg_server.start()
    made = pg_server.create_database()
    yield made
    pg_server.drop_database(made)


def test_no_migration_of_an_existing_ledger_blocks_others_for_as_long_as_a_table_is_large(make_app, url):
    steps = steps_of(schema.sql(make_app(url).database, since="1_0001"))

    assert [f"{one.revision}: {one.what} {one.lock.value}" for one in steps if one.lock.blocks] == []
    assert {one.revision for one in steps} >= {f"1_00{number:02}" for number in range(2, 28)}
    # What takes long holds no lock that stops anybody.
    assert {one.lock for one in steps if one.reads_rows} == {Lock.NOTHING}


@pytest.mark.parametrize(
    ("statement", "lock"),
    [
        ("CREATE INDEX ix ON job_runs (kind)", Lock.WRITES),
        ("CREATE UNIQUE INDEX CONCURRENTLY ix ON job_runs (kind)", Lock.NOTHING),
        ("ALTER TABLE job_runs ADD COLUMN one INTEGER", Lock.BRIEFLY),
        ("ALTER TABLE job_runs ADD COLUMN one BOOLEAN DEFAULT false NOT NULL", Lock.BRIEFLY),
        ("ALTER TABLE job_runs ADD COLUMN one UUID DEFAULT gen_random_uuid() NOT NULL", Lock.ALL),
        ("ALTER TABLE job_runs ADD COLUMN one INTEGER NOT NULL", Lock.ALL),
        ("ALTER TABLE job_runs ADD COLUMN one INTEGER CHECK (one > 0)", Lock.ALL),
        ("ALTER TABLE job_runs ADD CONSTRAINT ck CHECK (attempt > 0)", Lock.ALL),
        ("ALTER TABLE job_runs ADD CONSTRAINT ck CHECK (attempt > 0) NOT VALID", Lock.BRIEFLY),
        ("ALTER TABLE job_runs ADD CONSTRAINT fk FOREIGN KEY (a) REFERENCES b (id)", Lock.ALL),
        ("ALTER TABLE job_runs VALIDATE CONSTRAINT ck", Lock.NOTHING),
        ("ALTER TABLE job_runs ALTER COLUMN attempt TYPE BIGINT", Lock.ALL),
        ("ALTER TABLE job_runs ALTER COLUMN kind SET NOT NULL", Lock.ALL),
        ("UPDATE job_runs SET priority = 0", Lock.WRITES),
        ("create view v as select count(*) from job_runs", Lock.NOTHING),
        ("create materialized view v as select count(*) from job_runs", Lock.ALL),
        ("CLUSTER job_runs", Lock.ALL),
    ],
)
def test_a_statement_that_blocks_for_long_is_known_as_such(statement, lock):
    (step,) = steps_of(f"BEGIN;\n\n-- Running upgrade 1_0001 -> 1_0002\n\n{statement};\n\nCOMMIT;\n\n")

    assert (step.revision, step.lock) == ("1_0002", lock)


def test_a_table_of_the_same_revision_may_be_changed_at_will():
    made = (
        "-- Running upgrade 1_0001 -> 1_0002\n\nCREATE TABLE a (id INTEGER);\n\nCREATE INDEX i ON a (id);\n\n"
        "INSERT INTO a VALUES (1);\n\n-- Running upgrade 1_0002 -> 1_0003\n\nCREATE INDEX j ON a (id);\n\n"
    )

    assert [one.lock for one in steps_of(made)] == [*[Lock.NOTHING] * 3, Lock.WRITES]


def test_the_plan_names_each_step_with_the_rows_it_reads_and_changes_nothing(make_app, url, capsys):
    database = make_app(url).database
    assert plan(database) == []
    schema.upgrade(database, "1_0001")
    with database.write() as connection:
        statement = "update pg_class set reltuples = 1500000 where relname = 'job_runs'"
        connection.execute(text(statement))

    steps = plan(database)

    first = next(one for one in steps if "uq_job_runs_live_key" in one.step.what)
    assert (first.step.lock, first.rows, first.takes and first.takes.seconds) == (Lock.NOTHING, 1_500_000, 10)
    assert schema.current(database) == "1_0001"
    print_plan(database)
    shown = capsys.readouterr().out
    assert "1_0002  index uq_job_runs_live_key of job_runs\n" in shown
    assert "locks nothing; 1,500,000 rows, about 10s" in shown
    assert max(map(len, shown.splitlines())) <= 80
    schema.upgrade(database)
    assert plan(database) == []
