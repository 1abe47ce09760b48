"""What jobs write beside a ledger in a schema of its own, and commits that the ledger itself undoes. K.5, K.20"""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from typing import ClassVar

import psycopg
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from jobs import Job, Outcome, Retry, RunState
from jobs.database.engine import Database
from jobs.migration import schema
from jobs.settings import Settings
from jobs.testing import Ledger


class Base(DeclarativeBase):
    pass


class Payment(Base):
    __tablename__ = "payments"
    id: Mapped[int] = mapped_column(primary_key=True)


class Unknown(Base):
    __tablename__ = "never_made"
    id: Mapped[int] = mapped_column(primary_key=True)


class SchemaNote(Job):
    def perform(self) -> None: ...


class PayInSchema(Job, retry=Retry(max_attempts=1)):
    def perform(self) -> int:
        with self.run.transaction() as session:
            session.add(Payment(id=1))
            SchemaNote().enqueue()
            SchemaNote().enqueue(key="k")
            self.run.progress(1, 2)
            session.add(Payment(id=2))
        session.add(Payment(id=3))
        return 3


class ChunksInSchema(Job, retry=Retry(max_attempts=1)):
    def perform(self) -> int:
        cursor = self.run.cursor("rows")
        for n in (10, 11):
            with cursor.advance(to=n) as session:
                session.add(Payment(id=n))
                SchemaNote().enqueue()
        return int(cursor.value)


class MissesATable(Job, retry=Retry(max_attempts=1)):
    where: str

    def perform(self) -> None:
        if self.where == "advance":
            with self.run.cursor("c").advance(to=1) as session:
                session.add(Unknown(id=1))
        elif self.where == "block":
            with self.run.transaction() as session:
                session.add(Unknown(id=1))
        else:
            with self.run.transaction() as session:
                pass
            session.add(Unknown(id=1))


class LosesItsConnection(Job, retry=Retry(max_attempts=2)):
    url: ClassVar[str] = ""
    times: ClassVar[int] = 0

    def perform(self) -> str:
        with self.run.transaction() as session:
            session.execute(text("insert into payments values (1)"))
            pid = session.scalar(select(func.pg_backend_pid()))
        if type(self).times > 0:
            type(self).times -= 1
            with psycopg.connect(self.url, autocommit=True) as operator:
                assert operator.execute("select pg_terminate_backend(%s, 5000)", [pid]).fetchone() == (True,)
        return "done"


@pytest.fixture(scope="module")
def template_in_a_schema(pg_server):
    """A database with the tables of a ledger in the schema `work`; to migrate each test's own takes longer than it."""
    url = pg_server.create_database()
    with closing(Database(url, Settings(database_url=url, database_schema="work"))) as database:
        schema.upgrade(database)
    yield url
    pg_server.drop_database(url)


@pytest.fixture(params=["work", None], ids=["in a schema", "beside ours"])
def ledger(pg_server, request):
    template = request.getfixturevalue("template_in_a_schema" if request.param else "migrated_template")
    url = pg_server.create_database(template=template)
    with Ledger(url, database_schema=request.param) as made:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("create table payments (id int primary key)")
        yield made
    pg_server.drop_database(url)


def payments(ledger: Ledger) -> list[int]:
    with ledger.app.database.read() as connection:
        return list(connection.scalars(text("select id from public.payments order by id")))


def test_a_job_s_transaction_writes_the_application_s_tables_where_they_are(ledger):
    performed = ledger.perform(PayInSchema())

    assert performed.run.state is RunState.SUCCEEDED, performed.error
    assert performed.run.result == 3
    assert payments(ledger) == [1, 2, 3]
    assert len(ledger.runs(SchemaNote)) == 2


def test_a_cursor_s_chunks_do_too(ledger):
    performed = ledger.perform(ChunksInSchema())

    assert performed.run.state is RunState.SUCCEEDED, performed.error
    assert performed.run.result == 11
    assert payments(ledger) == [10, 11]
    assert len(ledger.runs(SchemaNote)) == 2


@pytest.mark.parametrize("where", ["advance", "block", "after the block"])
def test_a_table_of_the_application_that_is_missing_is_not_called_the_ledger(ledger, where):
    performed = ledger.perform(MissesATable(where=where))

    assert performed.run.state is RunState.DEAD
    assert performed.outcome is Outcome.FAILED
    assert "never_made" in str(performed.error)
    assert "There is no ledger" not in str(performed.error)


def test_a_commit_that_the_server_cut_off_is_not_the_job_s_failure(ledger):
    LosesItsConnection.url, LosesItsConnection.times = str(ledger.app.settings.database_url), 5

    outcomes = [ledger.perform(LosesItsConnection()).outcome]
    run = ledger.runs(LosesItsConnection)[0]
    while run.state is RunState.QUEUED and len(outcomes) < 9:
        ledger.advance(timedelta(seconds=10))
        outcomes.append(ledger.perform(run.id).outcome)
        run = ledger.runs(LosesItsConnection)[0]

    assert outcomes == [Outcome.RELEASED] * 5 + [Outcome.SUCCEEDED]
    assert payments(ledger) == [1]
