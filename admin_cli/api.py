"""`jobs api`: the HTTP API and its pages."""

from __future__ import annotations

import click

from admin_cli.app import open_app
from admin_cli.exits import CommandFailed, Exit
from admin_cli.lazy import Entry, LazyGroup
from admin_cli.options import Globals, pass_globals
from admin_cli.streams import say
from admin_cli.worker import IMPORT

ENTRIES = {
    "serve": Entry("admin_cli.api:serve", "Serve the API and its pages, until told to stop."),
}


@click.group("api", cls=LazyGroup, entries=ENTRIES)
def api() -> None:
    """The HTTP API and its pages."""


@click.command("serve")
@click.option("--host", metavar="HOST", help="Where to listen (JOBS_API_HOST): 127.0.0.1.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port (JOBS_API_PORT): 9180; 0: any free one.")
@click.option("--behind-tls", is_flag=True, help="TLS ends before it (JOBS_API_BEHIND_TLS).")
@click.option("--read-only", is_flag=True, help="Show, and change nothing (JOBS_API_READ_ONLY).")
@IMPORT
@pass_globals
def serve(
    options: Globals, host: str | None, port: int | None, behind_tls: bool, read_only: bool, imports: tuple[str, ...]
) -> None:
    """Serve the API and its pages, until told to stop.

    Make the first user with: jobledger users create NAME --role admin.

    \b
    Example:
      jobledger api serve --import shop.jobs
    """
    need_web()
    app = open_app(
        options,
        imports=imports,
        api_host=host,
        api_port=port,
        api_behind_tls=behind_tls or None,
        api_read_only=read_only or None,
    )
    from admin_api.main import serve as serve_api
    from jobs.observe.log import configure_logging

    configure_logging(app.settings)
    serve_api(app, ready=lambda url: say(f"serving {url}"))
    app.close()


def need_web() -> None:
    """Raises CommandFailed: what the API is made of is not installed."""
    from importlib.util import find_spec

    missing = [name for name in ("fastapi", "uvicorn", "jinja2", "argon2", "jwt") if find_spec(name) is None]
    if missing:
        raise CommandFailed(
            f"The API needs {', '.join(missing)}, which this installation has not.",
            hint="Install it: pip install 'jobledger[web]'.",
            exit_code=Exit.USAGE,
        )
