"""`jobs migrate`: migrates the ledger's tables."""

from __future__ import annotations

import click

from admin_cli.program.app import embedded, read_settings
from admin_cli.program.options import Globals, pass_globals
from admin_cli.program.prompt import confirm
from admin_cli.terminal import streams


@click.group("migrate")
def migrate() -> None:
    """Migrate the ledger's tables, and show their revision.

    \b
    Example:
      jobledger migrate up
    """


@migrate.command("up")
@pass_globals
def up(options: Globals) -> None:
    """Migrate the tables to this release; may create jobs.db.

    If no database is set, it creates jobs.db in this folder. On PostgreSQL workers can keep running. If it is
    stopped, run it again to continue.

    \b
    Example:
      jobledger migrate up
    """
    from jobs.database.engine import Database
    from jobs.migration import schema

    settings = read_settings(embedded(options))
    database = Database(settings.database_url or "", settings)
    before = schema.current(database)
    schema.upgrade(database, say=streams.write_message)
    after = schema.current(database)
    moved = "already at" if before == after else f"from {before or 'nothing'} to"
    streams.write_message(f"{database.shown}: {moved} {after}")


@migrate.command("down")
@click.argument("revision")
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
@pass_globals
def down(options: Globals, revision: str, yes: bool) -> None:
    """Migrate the tables down to REVISION; destroys newer data.

    "base" removes every table.

    \b
    Example:
      jobledger migrate down 1_0003 --yes
    """
    from jobs.database.engine import Database
    from jobs.migration import schema

    settings = read_settings(embedded(options))
    database = Database(settings.database_url or "", settings)
    lost = schema.rows_lost_below(database, revision)
    for table, rows in lost.items():
        streams.write_message(f"would destroy {table}: {rows:,} rows")
    confirm(len(lost), "destroy", yes=yes, noun="table")
    schema.downgrade(database, revision)
    streams.write_message(f"{database.shown}: now at {schema.current(database) or 'nothing'}")


@migrate.command("current")
@pass_globals
def current(options: Globals) -> None:
    """Show the revision of the tables, and the one that this release needs.

    \b
    Example:
      jobledger migrate current
    """
    from jobs.database.engine import Database
    from jobs.migration import schema

    settings = read_settings(embedded(options))
    database = Database(settings.database_url or "", settings)
    found = schema.current(database)
    streams.write(f"{found or 'none'}\n")
    if found != schema.REVISION:
        schema.check(database)


@migrate.command("sql")
@click.option(
    "--from",
    "since",
    metavar="REVISION",
    help="Current revision of the tables; base: no tables. Connects to no database.",
)
@pass_globals
def sql(options: Globals, since: str | None) -> None:
    """Print the statements of "migrate up", to apply them by hand.

    \b
    Example:
      jobledger migrate sql --from base
    """
    from jobs.database.engine import Database
    from jobs.migration import schema

    settings = read_settings(embedded(options))
    database = Database(settings.database_url or "", settings)
    at = schema.current(database) if since is None else None if since == "base" else since
    if at == schema.REVISION:
        streams.write_message(f"{database.shown}: already at {at}; there is nothing to run")
        return
    streams.write(schema.sql(database, since=at))
