"""The tables' revision: which one this release needs, and how to migrate to it.

Migrations expand, then contract. Revisions are named ``EPOCH_NUMBER``. Within one epoch they only add, so this release
works with a later revision of the same epoch (a warning), but not with a later epoch.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, column, func, inspect, select, table

from jobs.database.models import Base
from jobs.database.postgres import server
from jobs.errors import ConfigurationError, LedgerMissing, SchemaMismatch

if TYPE_CHECKING:
    from alembic.config import Config

    from jobs.database.engine import Database

log = logging.getLogger("jobs.schema")

REVISION = "1_0040"
"""The revision that this release needs."""
VERSION_TABLE = "jobs_alembic_version"
_OURS = Path(__file__).resolve().parents[1]
MIGRATIONS = next(
    (folder for folder in (_OURS / "migrations", _OURS.parent / "migrations") if folder.is_dir()), _OURS / "migrations"
)
"""Inside the package if it was installed from a wheel; at the top of a checkout."""


def current(database: Database) -> str | None:
    """The revision of the ledger, or None if there is none."""
    with database.read() as connection:
        return revision_of(connection, database.schema)


def check(database: Database) -> str:
    """Refuse a ledger that this release cannot run on. Returns its revision.

    Raises:
        LedgerMissing: there are no tables.
        SchemaMismatch: they have an earlier revision, or one of a later epoch.
    """
    _check_server(database)
    found = current(database)
    if found is None:
        raise LedgerMissing(f"There is no ledger in {database.shown}.", hint="Make one: jobledger migrate up.")
    if found == REVISION:
        return found
    if _is_ahead(found):
        log.warning("Ledger tables are newer than this release, and compatible", extra={"revision": found})
        return found
    if found < REVISION:
        raise SchemaMismatch(
            f"The ledger's tables are at revision {found}, but this release needs {REVISION}.",
            hint="Migrate them: jobledger migrate up.",
        )
    raise SchemaMismatch(
        f"The ledger's tables are at revision {found}, which this release ({REVISION}) does not know.",
        hint="Upgrade jobledger.",
    )


def upgrade(database: Database, revision: str = "head", *, say: Callable[[str], None] = log.info) -> None:
    """Migrate the tables up to ``revision`` while others use them; ``say`` gets messages about slow parts.

    A ledger in use is migrated one revision at a time. The rest of an earlier attempt is finished.

    Raises:
        ConfigurationError: the server cannot hold a ledger.
        LedgerBusy: others held a lock, or migrated, for too long.
        JobsError: the database refused; the error gives the current revision of the tables.
    """
    _check_server(database)
    _move(database, lambda config: _up(config, database, revision), say)


def _up(config: Config, database: Database, revision: str) -> None:
    from alembic import command

    if revision == "head" and _is_ahead(current(database)):
        # A release that was rolled back migrates nothing: it can use the later tables.
        check(database)
        return
    command.upgrade(config, revision)


def sql(database: Database, *, since: str | None) -> str:
    """The statements that ``upgrade`` would run on tables at revision ``since`` (None: there are none yet).

    Needs no database. Includes transactions and the rows of the version table.

    Raises:
        ConfigurationError: there is no such revision.
    """
    from alembic import command
    from alembic.util import CommandError

    if since and not re.fullmatch(r"\w+", since):
        raise ConfigurationError(
            f"{since!r} is not a revision.", hint="jobledger migrate current shows the tables' revision."
        )
    said = StringIO()
    config = alembic_config(None, database)
    config.output_buffer = said
    config.attributes.update(dialect=database.dialect, is_fresh=since is None)
    try:
        command.upgrade(config, f"{since}:head" if since else "head", sql=True)
    except CommandError as error:
        raise ConfigurationError(f"{error}.", hint="jobledger migrate current shows the tables' revision.") from None
    return said.getvalue()


def downgrade(database: Database, revision: str) -> None:
    """Migrate the tables down to ``revision``: the data of later revisions is destroyed.

    Raises:
        ConfigurationError: there is no such revision.
    """
    from alembic.util import CommandError

    try:
        _move(database, lambda config: _down(config, revision), log.info)
    except CommandError as error:
        raise ConfigurationError(f"{error}.", hint="jobledger migrate current shows the tables' revision.") from None


def _down(config: Config, revision: str) -> None:
    from alembic import command

    from jobs.migration import history_tables

    connection: Connection = config.attributes["connection"]
    if connection.dialect.name == "postgresql" and not config.attributes["is_fresh"]:
        with connection.begin():
            history_tables.drop_views(connection, config.attributes["schema"])
    command.downgrade(config, revision)


def _move(database: Database, run: Callable[[Config], None], say: Callable[[str], None]) -> None:
    """Run Alembic on the database: in one transaction if no other process uses it, else in steps that block none."""
    if database.dialect == "sqlite":
        with database.write() as connection:
            run(alembic_config(connection, database, is_fresh=True))
        return
    from jobs.migration import ddl, history_tables, indexes

    changing = database.for_changes()
    try:
        with changing.translated(), ddl.alone(changing, say=say) as beside:

            def step(connection: Connection) -> None:
                is_fresh = revision_of(beside, database.schema) is None
                config = alembic_config(connection, database, is_fresh=is_fresh)
                config.attributes.update(beside=beside, say=say)
                with connection.begin() if is_fresh else nullcontext():
                    run(config)

            def align_history(connection: Connection) -> None:
                with connection.begin():
                    if history_tables.are_there(connection, database.schema):
                        history_tables.make(connection, database.schema)

            _make_schema(beside, database)
            with ddl.explained(changing, lambda: current(database)):
                ddl.retry_while_locked(changing, beside, step, say=say)
                if revision_of(beside, database.schema) == REVISION:
                    indexes.build_missing(beside, schema=database.schema, say=say)
                ddl.retry_while_locked(changing, beside, align_history, say=say)
    finally:
        changing.close()


def rows_lost_below(database: Database, revision: str) -> dict[str, int]:
    """The tables that migrating down to ``revision`` would drop, and how many rows each holds; at the base, all."""
    if revision != "base":
        return {}
    with database.read() as connection:
        names = sorted(set(inspect(connection).get_table_names(schema=database.schema)) & set(Base.metadata.tables))
        return {
            name: connection.scalar(select(func.count()).select_from(Base.metadata.tables[name])) or 0 for name in names
        }


def alembic_config(connection: Connection | None, database: Database, *, is_fresh: bool = False) -> Config:
    """Alembic's own configuration, over an open connection; without one it can only write statements.

    ``is_fresh``: no other process uses the tables, so one transaction may lock them throughout.
    """
    from alembic.config import Config

    import jobs.migration.checks  # noqa: F401  # the operations that migrations call

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    config.attributes["version_table"] = VERSION_TABLE
    config.attributes["schema"] = database.schema
    config.attributes["is_fresh"] = is_fresh
    return config


def include_name(name: str | None, kind: str, parents: Mapping[str, str | None]) -> bool:
    """For an application's own Alembic environment: excludes our tables from its autogenerate.

    >>> context.configure(..., include_name=jobs.include_name)
    """
    return kind != "table" or name not in {VERSION_TABLE, *Base.metadata.tables}


def _check_server(database: Database) -> None:
    if database.dialect == "postgresql":
        with database.read() as connection:
            server.check_server(connection, shown=database.shown)


def _is_ahead(found: str | None) -> bool:
    """Whether tables are at a later revision of our epoch than this release knows."""
    return found is not None and found > REVISION and found.partition("_")[0] == REVISION.partition("_")[0]


def _make_schema(connection: Connection, database: Database) -> None:
    """Make the schema for our tables, if it does not exist."""
    if database.schema is None:
        return
    quoted = connection.dialect.identifier_preparer.quote_identifier(database.schema)
    if connection.execute(select(func.to_regnamespace(quoted))).scalar() is None:
        connection.exec_driver_sql(f"create schema {quoted}".replace("%", "%%"))


def revision_of(connection: Connection, schema: str | None) -> str | None:
    """The revision of the tables on this connection, or None if there are none."""
    if VERSION_TABLE not in inspect(connection).get_table_names(schema=schema):
        return None
    versions = table(VERSION_TABLE, column("version_num"), schema=schema)
    return connection.execute(select(versions.c.version_num)).scalar()
