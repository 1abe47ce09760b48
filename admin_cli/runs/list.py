"""`jobs list`: lists runs; the latest changes come first."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import click

from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.options import Globals, pass_globals
from admin_cli.program.watch import repeat, watch_option
from admin_cli.runs.run_columns import RUN_COLUMNS, RunAsOf, run_json, then_json
from admin_cli.runs.selector_options import selector_of, selector_options
from admin_cli.terminal.output import Output, output_options

if TYPE_CHECKING:
    from jobs.app import App
    from jobs.operations.runs.selector import SelectorInput


@click.command("list")
@selector_options
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Runs a page.")
@click.option("--cursor", metavar="TEXT", help="The cursor that the previous page printed.")
@click.option("--as-of", "at", metavar="WHEN", help="As they were then: 15m (ago) or 2026-11-01T10:00.")
@watch_option
@output_options(RUN_COLUMNS)
@pass_globals
def list_command(
    options: Globals,
    out: Output,
    asked: SelectorInput,
    limit: int,
    cursor: str | None,
    at: str | None,
    watch: timedelta | None,
) -> None:
    """List runs; the latest changes come first.

    With --as-of, the newest runs come first, each in the state that it had then. That is derived from attempts and from
    operators' actions. Runs deleted since are missing; --cause is not kept; a queued run is shown as queued where
    nothing recorded when it was due.

    \b
    Examples:
      jobledger list --state dead --since 1d
      jobledger list --where 'kind:Charge* args.order_id:42'
      jobledger list --state running --as-of 5m
    """
    if at is not None and watch is not None:
        raise click.UsageError("--as-of shows one moment: leave out --watch.")
    app = open_app(options)
    if at is not None:
        show_runs_as_of(app, out, asked, at, limit=limit, cursor=cursor)
        return
    repeat(app, watch, lambda: show_runs(app, out, asked, limit=limit, cursor=cursor))


def show_runs(app: App, out: Output, asked: SelectorInput, *, limit: int, cursor: str | None) -> None:
    from jobs.operations.runs.inspect import list_runs

    page = list_runs(app, this_operator(), selector_of(app, asked), limit=limit, cursor=cursor)
    out.rows(page.runs, next_cursor=page.next_cursor, as_json=run_json, empty="no run matches")


def show_runs_as_of(app: App, out: Output, asked: SelectorInput, at: str, *, limit: int, cursor: str | None) -> None:
    from jobs.operations.runs.as_of import list_as_of
    from jobs.operations.runs.selector import read_moment

    moment = read_moment(at, what="--as-of", now=app.clock.now())
    after = _read_after(cursor) if cursor else None
    page = list_as_of(app, this_operator(), selector_of(app, asked), moment, limit=limit, after=after)
    out.rows(
        [RunAsOf(one) for one in page.runs],
        next_cursor=str(page.next_after) if page.next_after else None,
        as_json=then_json,
        meta={"as_of": moment},
        empty="no run matched then",
    )


def _read_after(cursor: str) -> UUID:
    try:
        return UUID(cursor)
    except ValueError:
        raise click.UsageError(
            f"{cursor!r} is not a cursor of --as-of: take it from the end of the last page."
        ) from None
