"""`jobs api`: the HTTP API and its pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from admin_cli.program.app import open_app
from admin_cli.program.lazy import Entry, LazyGroup
from admin_cli.program.options import IMPORT, Globals, pass_globals
from admin_cli.serve.local_pages import LASTS, link_to, need_web
from admin_cli.terminal.streams import say, write

if TYPE_CHECKING:
    from jobs.app import App

ENTRIES = {
    "serve": Entry("admin_cli.serve.api:serve", "Serve the API and its pages, until told to stop."),
    "reference": Entry("admin_cli.serve.api:reference", "The API described, as the page docs/api.md."),
    "link": Entry("admin_cli.serve.api:link", "Print a link that signs you in to the pages, once."),
}


@click.group("api", cls=LazyGroup, entries=ENTRIES)
def api() -> None:
    """The HTTP API and its pages."""


@click.command("serve")
@click.option("--host", metavar="HOST", help="Where to listen (JOBS_API_HOST): 127.0.0.1.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port (JOBS_API_PORT): 9180; 0: any free one.")
@click.option("--behind-tls", is_flag=True, help="TLS ends before it (JOBS_API_BEHIND_TLS).")
@click.option("--read-only", is_flag=True, help="Show, and change nothing (JOBS_API_READ_ONLY).")
@click.option("--link", "gives_link", is_flag=True, help="Say a link that signs you in once, too.")
@IMPORT
@pass_globals
def serve(
    options: Globals,
    host: str | None,
    port: int | None,
    behind_tls: bool,
    read_only: bool,
    gives_link: bool,
    imports: tuple[str, ...],
) -> None:
    """Serve the API and its pages, until told to stop.

    Make the first user with: jobledger users create NAME --role admin; or look in at once with --link.

    \b
    Example:
      jobledger api serve --import shop.jobs --link
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

    def tell(url: str) -> None:
        say(f"serving {url}")
        if gives_link:
            say(f"sign in, once, within {LASTS}: {link_to(app, url)}")

    serve_api(app, ready=tell)
    app.close()


@click.command("reference")
def reference() -> None:
    """The API described, as the page docs/api.md.

    \b
    Example:
      jobledger api reference > api.md
    """
    need_web()
    from admin_api.reference import reference as page

    write(page())


@click.command("link")
@click.option("--url", metavar="URL", help="Where the pages are served; else by the settings.")
@pass_globals
def link(options: Globals, url: str | None) -> None:
    """Print a link that signs you in to the pages, once.

    As an admin, under your name at this shell, within ten minutes. Whoever can run this can do everything anyway.

    \b
    Example:
      jobledger api link
    """
    need_web()
    app = open_app(options)
    write(link_to(app, url.rstrip("/") if url else _usual(app)) + "\n")
    app.close()


def _usual(app: App) -> str:
    """Where the settings say that pages are served."""
    settings = app.settings
    if settings.api_behind_tls and settings.api_hosts:
        return f"https://{settings.api_hosts[0]}"
    return f"http://{settings.api_host}:{settings.api_port}"
