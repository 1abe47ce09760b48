"""`jobs list`: lists runs; the latest changes come first."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.options import Globals, pass_globals
from admin_cli.program.watch import repeat, watch_option
from admin_cli.runs.run_columns import RUN_COLUMNS, run_json
from admin_cli.runs.selector_options import selector_of, selector_options
from admin_cli.terminal.output import Output, output_options

if TYPE_CHECKING:
    from jobs.app import App
    from jobs.operations.runs.selector import SelectorInput


@click.command("list")
@selector_options
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Runs a page.")
@click.option("--cursor", metavar="TEXT", help="The cursor that the previous page printed.")
@watch_option
@output_options(RUN_COLUMNS)
@pass_globals
def list_command(
    options: Globals, out: Output, asked: SelectorInput, limit: int, cursor: str | None, watch: timedelta | None
) -> None:
    """List runs; the latest changes come first.

    \b
    Examples:
      jobledger list --state dead --since 1d
      jobledger list --where 'kind:Charge* args.order_id:42'
    """
    app = open_app(options)
    repeat(app, watch, lambda: show_runs(app, out, asked, limit=limit, cursor=cursor))


def show_runs(app: App, out: Output, asked: SelectorInput, *, limit: int, cursor: str | None) -> None:
    from jobs.operations.runs.inspect import list_runs

    page = list_runs(app, this_operator(), selector_of(app, asked), limit=limit, cursor=cursor)
    out.rows(page.runs, next_cursor=page.next_cursor, as_json=run_json, empty="no run matches")
