"""Serves the pages on this machine only, for `jobs dev` and `jobs demo`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.exits import CommandFailed, Exit
from admin_cli.program.options import Globals
from admin_cli.terminal.streams import write_message

if TYPE_CHECKING:
    from jobs.app import App

NEEDED = ("fastapi", "uvicorn", "jinja2", "argon2", "jwt", "multipart")
"""The packages that the pages need: the extra ``web``."""
LINK_LIFETIME = "10 minutes"


def has_web() -> bool:
    """Whether the packages that the pages need are installed."""
    return all(find_spec(name) is not None for name in NEEDED)


def need_web() -> None:
    """Raises CommandFailed: the packages that the API and its pages need are not installed."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise CommandFailed(
            f"The API needs {', '.join(missing)}, not installed here.",
            hint="Install it: pip install 'jobledger[web]'.",
            exit_code=Exit.USAGE,
        )


def link_to(app: App, url: str) -> str:
    """A link that signs this shell's user in to the pages at ``url`` once."""
    from jobs.operations.access.sign_in import make_link
    from jobs.operations.audit.operator import Permission

    operator = this_operator()
    # The reader of a bundle may do nothing, but whoever has the file may look at it: the pages are read-only.
    operator = replace(operator, permissions=operator.permissions | {Permission.USERS_WRITE})
    return f"{url}/link?key={make_link(app, operator)}"


def serve_pages(options: Globals, imports: Sequence[str]) -> int:
    """Serve the pages of the configured ledger, in a process of its own; returns the exit code."""
    from admin_cli.program.failure import report

    try:
        app = open_app(options, imports=imports, log_level="warning", api_host="127.0.0.1")
        serve_here(app)
    except BaseException as error:
        return report(error, debug=options.debug)
    return 0


def serve_here(app: App) -> None:
    """Serve until stopped, at the settings' port or, if it is taken, at a free one; prints a sign-in link."""
    from admin_api.main import serve
    from jobs.errors import ConfigurationError
    from jobs.observe.log import configure_logging

    configure_logging(app.settings)

    def show_address(url: str) -> None:
        write_message(f"pages: {link_to(app, url)} (signs you in once, within {LINK_LIFETIME})")

    try:
        serve(app, ready=show_address)
    except ConfigurationError:
        serve(app, ready=show_address, port=0)
