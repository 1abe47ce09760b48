"""`jobledger sessions`: lists and ends sessions of the API and its pages."""

from __future__ import annotations

from uuid import UUID

import click

from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.options import REASON, Globals, pass_globals
from admin_cli.terminal import streams
from admin_cli.terminal.columns import Column
from admin_cli.terminal.output import Output, output_options
from jobs.formats.escaping import escape_controls

COLUMNS = (
    Column("id", is_id=True),
    Column("actor", heading="USER", gives=1),
    Column("kind"),
    Column("role", gives=3),
    Column("address", gives=2),
    Column("created_at", heading="OPENED", gives=2),
    Column("seen_at", heading="SEEN"),
    Column("expires_at", heading="EXPIRES"),
)


@click.group("sessions")
def sessions() -> None:
    """Sessions: list who is signed in, and end sessions.

    \b
    Example:
      jobledger sessions list --user ada
    """


@sessions.command("list")
@click.option("--user", help="Only those of this user.")
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="Sessions.")
@output_options(COLUMNS)
@pass_globals
def list_sessions(options: Globals, out: Output, user: str | None, limit: int) -> None:
    """List valid sessions and links, the newest first.

    \b
    Example:
      jobledger sessions list --user ada
    """
    from jobs.operations.access import sessions as service

    found = service.list_sessions(open_app(options), this_operator(), user=user, limit=limit)
    out.rows(found, empty="nobody is signed in")


@sessions.command("end")
@click.argument("session_id", type=click.UUID, metavar="ID")
@REASON
@pass_globals
def end(options: Globals, session_id: UUID, reason: str | None) -> None:
    """End a session at once, or a link and the session that it opened.

    \b
    Example:
      jobledger sessions end 01a210b9-fac2-7008-bf7d-498ef04305be
    """
    from jobs.operations.access.sessions import end_session

    found = end_session(open_app(options), this_operator(), session_id, reason=reason)
    streams.write_message(escape_controls(f"session {found.id} of {found.actor} has ended."))
