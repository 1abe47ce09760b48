"""The migrations make what the models say, on each dialect, forwards and back."""

from __future__ import annotations

import ast
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, func, inspect, select

from jobs.database.engine import Database
from jobs.database.models import Base, JobRun
from jobs.errors import ConfigurationError, LedgerMissing, SchemaMismatch
from jobs.migration import schema
from tests.book import Book, new_run

pytestmark = pytest.mark.filterwarnings("ignore:.*expression-based index")
"""SQLAlchemy cannot reflect one on SQLite, and says so each time."""
OURS = {*Base.metadata.tables, schema.VERSION_TABLE}


def described(connection: Connection) -> dict[str, Any]:
    """The tables, as the database describes them itself."""
    found = inspect(connection)
    tables: dict[str, Any] = {}
    for name in sorted(set(found.get_table_names()) - {schema.VERSION_TABLE}):
        tables[name] = {
            "columns": {
                one["name"]: (str(one["type"]), one["nullable"], one["default"]) for one in found.get_columns(name)
            },
            "key": found.get_pk_constraint(name),
            "checks": {one["name"]: one["sqltext"] for one in found.get_check_constraints(name)},
            "unique": sorted(str(one) for one in found.get_unique_constraints(name)),
            "foreign": sorted(str(one) for one in found.get_foreign_keys(name)),
            "indexes": {
                one["name"]: (
                    one["column_names"],
                    one["unique"],
                    {k: str(v) for k, v in one["dialect_options"].items()},
                )
                for one in found.get_indexes(name)
            },
        }
    return tables


def test_migrations_make_what_the_models_say_to_the_last_check_and_index(empty):
    migrated, declared = empty(), empty()
    schema.upgrade(migrated)
    with declared.write() as connection:
        Base.metadata.create_all(connection)

    with migrated.read() as one, declared.read() as other:
        made, said = described(one), described(other)

    assert made == said
    assert all(name for table in said.values() for name in table["checks"]), "each check has a name"


def test_alembic_finds_no_difference(migrated):

    with migrated.read() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": schema.VERSION_TABLE, "compare_type": True}
        )
        assert compare_metadata(context, Base.metadata) == []


def test_down_to_the_base_leaves_nothing_and_up_again_makes_the_same(migrated):
    with migrated.read() as connection:
        before = described(connection)

    schema.downgrade(migrated, "base")

    with migrated.read() as connection:
        assert described(connection) == {}
    assert schema.current(migrated) is None
    schema.upgrade(migrated)
    with migrated.read() as connection:
        assert described(connection) == before
    assert schema.current(migrated) == schema.REVISION


def test_each_revision_goes_up_and_down_over_rows(empty):
    database = empty()
    script = scripts(database)
    revisions = [one.revision for one in script.walk_revisions()][::-1]
    for revision in revisions:
        schema.upgrade(database, revision)
    Book(database).insert([new_run() for _ in range(3)])
    for revision in [*revisions[-2::-1], "base"]:
        schema.downgrade(database, revision)
        assert schema.current(database) == (None if revision == "base" else revision)


def scripts(database: Database) -> ScriptDirectory:
    with database.read() as connection:
        return ScriptDirectory.from_config(schema.alembic_config(connection, database))


def test_there_is_one_head_and_the_release_needs_it(empty):
    script = scripts(empty())

    assert script.get_heads() == [schema.REVISION]
    assert len(script.get_bases()) == 1


def test_a_second_migration_changes_nothing_and_keeps_the_rows(migrated):
    Book(migrated).insert([new_run()])
    schema.upgrade(migrated)

    with migrated.read() as connection:
        assert connection.scalar(select(func.count()).select_from(JobRun)) == 1
    schema.check(migrated)


def test_rows_that_a_downgrade_deletes_are_counted(migrated):
    Book(migrated).insert([new_run() for _ in range(3)])

    lost = schema.rows_lost_below(migrated, "base")

    assert lost["job_runs"] == 3
    assert set(lost) == set(Base.metadata.tables)


class TestTheRevisionInForce:
    def stamp(self, database: Database, revision: str) -> None:
        from sqlalchemy import column, table, update

        with database.write() as connection:
            connection.execute(update(table(schema.VERSION_TABLE, column("version_num"))).values(version_num=revision))

    def test_an_empty_database_is_said_to_hold_no_ledger(self, empty):
        with pytest.raises(LedgerMissing, match="migrate up"):
            schema.check(empty())

    @pytest.mark.parametrize(("found", "advice"), [("0_0001", "migrate up"), ("2_0001", "Upgrade jobledger")])
    def test_a_ledger_of_another_epoch_is_refused(self, migrated, found, advice):
        self.stamp(migrated, found)

        with pytest.raises(SchemaMismatch, match=advice):
            schema.check(migrated)

    def test_tables_of_a_later_revision_of_this_epoch_serve_with_a_warning(self, migrated, caplog):
        self.stamp(migrated, "1_9999")

        schema.check(migrated)

        assert "newer than this release" in caplog.text

    def test_going_down_to_a_revision_that_is_not_there_is_refused(self, migrated):

        with pytest.raises(ConfigurationError, match="nonsense"):
            schema.downgrade(migrated, "nonsense")


def test_a_table_of_the_applications_own_is_left_alone(empty):
    from sqlalchemy import Column, Integer, Table

    database = empty()
    theirs = Table("orders", MetaData(), Column("id", Integer, primary_key=True))
    with database.write() as connection:
        theirs.create(connection)
    schema.upgrade(database)
    schema.downgrade(database, "base")

    with database.read() as connection:
        assert "orders" in inspect(connection).get_table_names()


@pytest.mark.parametrize("path", sorted(schema.MIGRATIONS.glob("versions/*.py")), ids=lambda path: path.stem)
def test_a_migration_imports_nothing_of_ours(path):
    names = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names])
    }

    assert names <= {"sqlalchemy", "alembic", "datetime", "json", "__future__"}
