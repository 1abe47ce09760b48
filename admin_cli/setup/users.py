"""`jobs users` and `jobs tokens`: manage users and tokens of the API and its pages."""

from __future__ import annotations

import sys
from datetime import timedelta

import click

from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.options import DURATION, REASON, Globals, pass_globals
from admin_cli.serve.local_pages import need_web
from admin_cli.terminal import streams
from admin_cli.terminal.columns import Column
from admin_cli.terminal.output import Output, output_options
from jobs.formats.escaping import escape_controls

ROLE = click.Choice(["viewer", "operator", "admin"])
FROM_STDIN = click.option("--password-stdin", is_flag=True, help="Read the password from standard input (one line).")

USER_COLUMNS = (
    Column("name"),
    Column("role"),
    Column("disabled_at", heading="DISABLED"),
    Column("created_at", heading="CREATED"),
    Column("created_by", heading="BY", gives=1),
    Column("expires_at", heading="EXPIRES", gives=2),
)
TOKEN_COLUMNS = (
    Column("id", is_id=True),
    Column("user"),
    Column("name", gives=2),
    Column("permissions", lambda token: ",".join(token.permissions), gives=3),
    Column("expires_at", heading="EXPIRES"),
    Column("revoked_at", heading="REVOKED"),
    Column("used_at", heading="USED", gives=1),
)


@click.group("users")
def users() -> None:
    """Users of the API and its pages.

    \b
    Example:
      jobledger users create ada --role admin
    """


@users.command("create")
@click.argument("name")
@click.option("--role", type=ROLE, required=True, help="The user's role.")
@click.option("--for", "lasts", type=DURATION, metavar="DURATION", help="How long the user may sign in, such as 90d.")
@FROM_STDIN
@REASON
@pass_globals
def create(
    options: Globals, name: str, role: str, lasts: timedelta | None, password_stdin: bool, reason: str | None
) -> None:
    """Add a user; prompts for the password.

    \b
    Example:
      jobledger users create ada --role admin --password-stdin < password.txt
    """
    need_web()
    app = open_app(options)
    from jobs.operations.access.users import create_user

    user = create_user(
        app, this_operator(), name, password=_password(from_stdin=password_stdin), role=role, reason=reason,
        lasts=lasts,
    )  # fmt: skip
    streams.write_message(escape_controls(f"user {user.name} may sign in as {user.role}."))


@users.command("list")
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="Users.")
@output_options(USER_COLUMNS)
@pass_globals
def list_users(options: Globals, out: Output, limit: int) -> None:
    """List the users, by name.

    \b
    Example:
      jobledger users list
    """
    from jobs.operations.access import users as service

    found = service.list_users(open_app(options), this_operator(), limit=limit)
    out.rows(found, empty="there is no user: jobledger users create NAME --role admin")


@users.command("reset")
@click.argument("name")
@FROM_STDIN
@REASON
@pass_globals
def reset(options: Globals, name: str, password_stdin: bool, reason: str | None) -> None:
    """Set a user's password, and end all sessions and links of the user.

    \b
    Example:
      jobledger users reset ada --password-stdin < password.txt
    """
    need_web()
    app = open_app(options)
    from jobs.operations.access.users import reset_password

    user = reset_password(app, this_operator(), name, password=_password(from_stdin=password_stdin), reason=reason)
    streams.write_message(
        escape_controls(f"user {user.name} has a new password. All sessions have ended; tokens stay valid.")
    )


@users.command("disable")
@click.argument("name")
@REASON
@pass_globals
def disable(options: Globals, name: str, reason: str | None) -> None:
    """Disable a user; sessions, links and tokens end at once.

    \b
    Example:
      jobledger users disable ada --reason "left"
    """
    from jobs.operations.access.users import disable_user

    user = disable_user(open_app(options), this_operator(), name, reason=reason)
    streams.write_message(escape_controls(f"user {user.name} is disabled."))


@users.command("enable")
@click.argument("name")
@REASON
@pass_globals
def enable(options: Globals, name: str, reason: str | None) -> None:
    """Enable a disabled user.

    \b
    Example:
      jobledger users enable ada
    """
    from jobs.operations.access.users import disable_user

    user = disable_user(open_app(options), this_operator(), name, is_disabled=False, reason=reason)
    streams.write_message(escape_controls(f"user {user.name} may sign in as {user.role}."))


@users.command("role")
@click.argument("name")
@click.argument("role", type=ROLE)
@REASON
@pass_globals
def role(options: Globals, name: str, role: str, reason: str | None) -> None:
    """Change a user's role, with effect at once.

    \b
    Example:
      jobledger users role ada operator
    """
    from jobs.operations.access.users import change_role

    user = change_role(open_app(options), this_operator(), name, role=role, reason=reason)
    streams.write_message(escape_controls(f"user {user.name} now has the role {user.role}."))


@click.group("tokens")
def tokens() -> None:
    """API tokens for programs.

    \b
    Example:
      jobledger tokens create deploys --user ada --allow runs:read --for 90d
    """


@tokens.command("create")
@click.argument("name")
@click.option("--user", required=True, help="The token's user; the token cannot do more than its user.")
@click.option("--allow", "permissions", multiple=True, required=True, metavar="PERMISSION", help="runs:read, say.")
@click.option(
    "--for", "lasts", type=DURATION, required=True, metavar="DURATION", help="How long the token is valid, such as 90d."
)
@REASON
@pass_globals
def create_token(
    options: Globals, name: str, user: str, permissions: tuple[str, ...], lasts: timedelta, reason: str | None
) -> None:
    """Create a token and print it; it is shown only once.

    \b
    Example:
      jobledger tokens create deploys --user ada --allow runs:read --for 90d
    """
    from jobs.operations.access.tokens import create_token as create

    token, secret = create(
        open_app(options), this_operator(), user=user, name=name, permissions=permissions, lasts=lasts, reason=reason
    )
    streams.write_message(
        escape_controls(f"token {token.id} of {token.user} is valid until {token.expires_at:%Y-%m-%d %H:%M} UTC.")
    )
    streams.write(f"{secret}\n")


@tokens.command("list")
@click.option("--user", help="Only those of this user.")
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="Tokens.")
@output_options(TOKEN_COLUMNS)
@pass_globals
def list_tokens(options: Globals, out: Output, user: str | None, limit: int) -> None:
    """List tokens without their secrets, the newest first.

    \b
    Example:
      jobledger tokens list --user ada
    """
    from jobs.operations.access import tokens as service

    found = service.list_tokens(open_app(options), this_operator(), user=user, limit=limit)
    out.rows(found, empty="there is no token")


@tokens.command("revoke")
@click.argument("token_id", type=click.UUID, metavar="ID")
@REASON
@pass_globals
def revoke(options: Globals, token_id: object, reason: str | None) -> None:
    """End a token at once.

    \b
    Example:
      jobledger tokens revoke 01a210b9-fac2-7008-bf7d-498ef04305be
    """
    from uuid import UUID

    from jobs.operations.access.tokens import revoke_token

    token = revoke_token(open_app(options), this_operator(), UUID(str(token_id)), reason=reason)
    streams.write_message(escape_controls(f"token {token.id} of {token.user} has ended."))


def _password(*, from_stdin: bool) -> str:
    """Reads the password twice from the terminal, or once from stdin; never from an argument, which others can see."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not streams.is_terminal(sys.stdin):
        raise click.UsageError("There is no terminal to ask for a password: add --password-stdin.")
    import getpass

    first = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != first:
        raise click.UsageError("The two passwords differ.")
    return first
