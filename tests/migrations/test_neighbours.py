"""Our tables beside an application's, before a release that knows more of them, and made by hand."""

from __future__ import annotations

import shutil
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata, produce_migrations
from alembic.migration import MigrationContext
from sqlalchemy import Column, Integer, MetaData, String, Table, inspect

import jobs
from admin_cli.main import run as command
from jobs.database.engine import Database
from jobs.database.models import Base
from jobs.errors import ConfigurationError
from jobs.migration import schema
from tests.worker.live import live_worker

pytestmark = pytest.mark.filterwarnings("ignore:.*expression-based index")
"""SQLAlchemy cannot reflect one on SQLite, and says so each time."""
LATER = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "1_9001", "{head}"


def upgrade():
    op.add_column("job_runs", sa.Column("colour", sa.String(20), nullable=True))
    op.add_column("job_attempts", sa.Column("weight", sa.Integer(), nullable=False, server_default="1"))
    op.create_table("job_colours", sa.Column("name", sa.String(20), primary_key=True))


def downgrade():
    op.drop_table("job_colours")
    op.drop_column("job_attempts", "weight")
    op.drop_column("job_runs", "colour")
"""


def shown(database: Database) -> str:
    return database.url.render_as_string(hide_password=False).replace("+psycopg", "").replace("+pysqlite", "")


@pytest.fixture
def ahead(migrated, tmp_path, monkeypatch, caplog) -> Database:
    """A ledger as a later release left it, which added two columns and a table."""
    later = tmp_path / "later"
    shutil.copytree(schema.MIGRATIONS, later)
    (later / "versions" / "1_9001_later.py").write_text(LATER.format(head=schema.REVISION))
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", later)
        schema.upgrade(migrated)
    with migrated.read() as connection:
        assert "job_colours" in inspect(connection).get_table_names()
    caplog.clear()
    return migrated


class TestALedgerThatIsAhead:
    def test_newer_tables_are_a_warning_and_not_an_error(self, ahead, caplog):
        schema.check(ahead)

        assert "newer than this release, and compatible" in caplog.text

    def test_an_older_release_leaves_newer_tables_as_they_are(self, ahead, monkeypatch, capsys):
        monkeypatch.setenv("JOBS_DATABASE_URL", shown(ahead))

        assert command(["migrate", "up"]) == 0
        assert command(["migrate", "current"]) == 0

        assert capsys.readouterr().out == "1_9001\n"
        assert schema.current(ahead) == "1_9001"

    def test_a_worker_of_this_release_performs_on_it(self, ahead, tmp_path):
        with live_worker(tmp_path, app="class Fine(Job):\n    def perform(self): return 7", url=shown(ahead)) as worker:
            (run_id,) = worker.enqueue("Fine")
            assert worker.wait_until_final([run_id], seconds=60) == {"succeeded": 1}
            assert worker.outcomes(run_id) == ["succeeded"]


class TestTheStatements:
    def test_the_printed_statements_make_what_migrate_up_makes(self, empty):
        database = empty()
        _apply(database, schema.sql(database, since=None))

        schema.check(database)
        with database.read() as connection:
            assert compare_metadata(MigrationContext.configure(connection, opts=_plain()), Base.metadata) == []

    def test_the_printed_statements_continue_from_the_current_revision(self, empty, monkeypatch, capsys):
        database = empty()
        schema.upgrade(database, "1_0001")
        monkeypatch.setenv("JOBS_DATABASE_URL", shown(database))

        assert command(["migrate", "sql"]) == 0
        _apply(database, capsys.readouterr().out)

        assert schema.current(database) == schema.REVISION
        assert command(["migrate", "sql"]) == 0
        assert capsys.readouterr().out == ""

    def test_the_printed_statements_make_the_schema_that_holds_our_tables(self, make_app, pg_server):
        url = pg_server.create_database()
        database = make_app(url, database_schema="Back office").database
        _apply(database, schema.sql(database, since=None))

        schema.check(database)
        pg_server.drop_database(url)

    def test_an_unknown_revision_is_refused(self, empty):
        with pytest.raises(ConfigurationError, match="nonsense"):
            schema.sql(empty(), since="nonsense")


def test_an_applications_autogenerate_proposes_nothing_about_our_tables(migrated):
    theirs = MetaData()
    Table("orders", theirs, Column("id", Integer, primary_key=True), Column("what", String(20)))
    with migrated.write() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": jobs.include_name})
        proposed = produce_migrations(context, theirs).upgrade_ops
        assert proposed is not None
        assert [type(one).__name__ for one in proposed.ops] == ["CreateTableOp"]
        theirs.create_all(connection)

    with migrated.read() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": jobs.include_name})
        assert compare_metadata(context, theirs) == []
        # Without the filter it would drop them.
        assert compare_metadata(MigrationContext.configure(connection), theirs) != []


def _plain() -> dict[str, Any]:
    names = {*Base.metadata.tables}
    return {"include_name": lambda name, kind, parents: kind != "table" or name in names}


def _apply(database: Database, statements: str) -> None:
    if database.dialect == "sqlite":
        with database.engine.connect() as connection:
            raw: Any = connection.connection.driver_connection
            raw.executescript(statements)
        return
    with psycopg.connect(shown(database), autocommit=True) as connection:
        # One by one, as psql sends a file: an index that is built CONCURRENTLY is a statement by itself.
        for statement in _split(statements):
            connection.execute(statement.encode())


def _split(script: str) -> list[str]:
    """The statements of a script: a semicolon between dollar quotes, in the body of a function, ends none."""
    statements = [""]
    for n, part in enumerate(script.split("$$")):
        first, *rest = [part] if n % 2 else part.split(";\n")
        statements[-1] += f"$${first}" if n else first
        statements += rest
    return statements
