"""`jobs migrate`: migrates the ledger's tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from admin_cli.program.app import embedded, read_settings
from admin_cli.program.options import Globals, pass_globals
from admin_cli.program.prompt import confirm
from admin_cli.terminal import streams
from jobs.formats.duration import format_duration

if TYPE_CHECKING:
    from jobs.database.engine import Database


@click.group("migrate")
def migrate() -> None:
    """Migrate the ledger's tables, and show their revision.

    \b
    Example:
      jobledger migrate up
    """


@migrate.command("up")
@click.option("--plan", "shows_plan", is_flag=True, help="Print each step, what it locks and how long; change nothing.")
@pass_globals
def up(options: Globals, shows_plan: bool) -> None:
    """Migrate the tables to this release; may create jobs.db.

    If no database is set, it creates jobs.db in this folder. On PostgreSQL workers can keep running. If it is
    stopped, run it again to continue.

    \b
    Example:
      jobledger migrate up
      jobledger migrate up --plan
    """
    from jobs.database.engine import Database
    from jobs.migration import schema

    settings = read_settings(embedded(options))
    database = Database(settings.database_url or "", settings)
    if shows_plan:
        print_plan(database)
        return
    before = schema.current(database)
    schema.upgrade(database, say=streams.write_message)
    after = schema.current(database)
    moved = "already at" if before == after else f"from {before or 'nothing'} to"
    streams.write_message(f"{database.shown}: {moved} {after}")


def print_plan(database: Database) -> None:
    """One line for each step of a revision, and under it what it locks and about how long it takes."""
    from jobs.migration import schema
    from jobs.migration.ddl import LOCK_LIMIT
    from jobs.migration.plan import plan

    at = schema.current(database)
    steps = plan(database)
    if not steps:
        left = "there is no ledger yet, so nothing waits" if at is None else f"already at {at}; nothing is left to do"
        streams.write_message(f"{database.shown}: {left}")
        return
    for one in steps:
        time = "a moment" if one.takes is None else f"{one.rows:,} rows, about {format_duration(one.takes)}"
        streams.write(f"{one.step.revision}  {one.step.what}\n        {one.step.lock.value}; {time}\n")
    if database.dialect == "sqlite":
        streams.write_message("One transaction has all of them: other writers wait until it ends.")
    else:
        limit = f"{LOCK_LIMIT.total_seconds() * 1000:g} ms"
        streams.write_message(
            f"A step waits {limit} for a lock at most, and is then tried again: nobody waits longer for it."
        )


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
