"""`jobs api`: the HTTP API and its pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from admin_cli.program.app import open_app
from admin_cli.program.lazy import Entry, LazyGroup
from admin_cli.program.options import IMPORT, Globals, pass_globals
from admin_cli.serve.local_pages import LINK_LIFETIME, link_to, need_web
from admin_cli.terminal.streams import write, write_message

if TYPE_CHECKING:
    from jobs.app import App

ENTRIES = {
    "serve": Entry("admin_cli.serve.api:serve", "Serve the API and its pages until stopped."),
    "reference": Entry("admin_cli.serve.api:reference", "Print the API reference, as in docs/api.md."),
    "link": Entry("admin_cli.serve.api:link", "Print a link that signs you in to the pages once."),
}


@click.group("api", cls=LazyGroup, entries=ENTRIES)
def api() -> None:
    """The HTTP API and its pages."""


@click.command("serve")
@click.option("--host", metavar="HOST", help="Address to listen on (JOBS_API_HOST): 127.0.0.1.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port (JOBS_API_PORT): 9180; 0: any free port.")
@click.option("--behind-tls", is_flag=True, help="A proxy terminates TLS (JOBS_API_BEHIND_TLS).")
@click.option("--read-only", is_flag=True, help="Refuse every change (JOBS_API_READ_ONLY).")
@click.option("--link", "gives_link", is_flag=True, help="Also print a link that signs you in once.")
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
    """Serve the API and its pages until stopped.

    Create the first user with: jobledger users create NAME --role admin; or sign in at once with --link. With --bundle
    FILE it serves the bundle, read-only, and prints a link.

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
        api_read_only=read_only or options.bundle is not None or None,
    )
    from admin_api.main import serve as serve_api
    from jobs.observe.log import configure_logging

    configure_logging(app.settings)

    def show_address(url: str) -> None:
        write_message(f"serving {url}")
        if gives_link or options.bundle is not None:
            write_message(f"sign in, once, within {LINK_LIFETIME}: {link_to(app, url)}")

    serve_api(app, ready=show_address)
    app.close()


@click.command("reference")
def reference() -> None:
    """Print the API reference, as in docs/api.md.

    \b
    Example:
      jobledger api reference > api.md
    """
    need_web()
    from admin_api.reference import reference as page

    write(page())


@click.command("link")
@click.option("--url", metavar="URL", help="The URL of the pages; default: from the settings.")
@pass_globals
def link(options: Globals, url: str | None) -> None:
    """Print a link that signs you in to the pages once.

    You sign in as an admin, under the name of your shell user. The link is valid for ten minutes. It grants no
    new rights: this command needs full access to the ledger.

    \b
    Example:
      jobledger api link
    """
    need_web()
    app = open_app(options)
    write(link_to(app, url.rstrip("/") if url else _usual(app)) + "\n")
    app.close()


def _usual(app: App) -> str:
    """The URL of the pages, from the settings."""
    settings = app.settings
    if settings.api_behind_tls and settings.api_hosts:
        return f"https://{settings.api_hosts[0]}"
    return f"http://{settings.api_host}:{settings.api_port}"
