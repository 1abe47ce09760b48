"""`jobs mcp`: the operations as tools for agents, over standard input and output."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import click

from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.options import IMPORT, Globals, pass_globals
from jobs.errors import ConfigurationError


@click.command("mcp")
@click.option("--read-only", is_flag=True, help="Offer no tool that acts.")
@click.option(
    "--role", type=click.Choice(["viewer", "operator", "admin"]), default="operator", show_default=True,
    help="What its tools may do, without a token.",
)  # fmt: skip
@IMPORT
@pass_globals
def mcp(options: Globals, read_only: bool, role: str, imports: tuple[str, ...]) -> None:
    """Serve tools to agents by the Model Context Protocol.

    It speaks on standard input and output, for a client that starts it. Tools that act show a dry run first, and act
    only with the confirmation that it gave. With a token of the API in JOBS_MCP_TOKEN, or in the file that
    JOBS_MCP_TOKEN_FILE names, the token's permissions hold instead of --role.

    \b
    Example:
      jobledger mcp --role viewer --import shop.jobs
    """
    if find_spec("mcp") is None:
        raise ConfigurationError("The tools need the extra mcp.", hint="pip install 'jobledger[mcp]'")
    # What the application prints must not reach the client.
    out, sys.stdout = sys.stdout, sys.stderr
    app = open_app(options, imports=imports)
    from admin_cli.mcp.server import by_role, by_the_token, make_server
    from jobs.observe.log import configure_logging

    configure_logging(app.settings)
    token = app.settings.mcp_token
    whose = by_the_token(app, token) if token is not None else by_role(this_operator(), role)
    whose()
    server = make_server(app, whose, is_read_only=read_only)
    sys.stdout = out
    try:
        server.run("stdio")
    finally:
        app.close()
