"""`jobs list`: runs, newest first."""

from __future__ import annotations

import click

from admin_cli.app import open_app
from admin_cli.columns import Column, paint_state
from admin_cli.options import Globals, pass_globals
from admin_cli.output import Output, output_options

COLUMNS = (
    Column("id", is_id=True),
    Column("kind", gives=2, min_width=10),
    Column("queue", gives=1),
    Column("state", paint=paint_state),
    Column("attempt", heading="TRY"),
    Column("created_at", heading="AGE"),
    Column("error_type", heading="ERROR", gives=3),
    Column("cause", is_wide=True),
    Column("run_at", is_wide=True),
    Column("finished_at", is_wide=True),
    Column("worker", is_wide=True, gives=2),
    Column("correlation_id", is_wide=True, gives=2),
    Column("tags", is_wide=True, gives=2),
)
STATES = ("queued", "running", "succeeded", "dead", "cancelled")


@click.command("list")
@click.option("-k", "--kind", help="Only runs of this kind.")
@click.option("-q", "--queue", help="Only runs of this queue.")
@click.option("-s", "--state", "states", type=click.Choice(STATES), multiple=True, help="Only runs in this state.")
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many.")
@click.option("--cursor", help="Go on where the page before ended.")
@output_options(COLUMNS)
@pass_globals
def list_runs(
    options: Globals,
    out: Output,
    kind: str | None,
    queue: str | None,
    states: tuple[str, ...],
    limit: int,
    cursor: str | None,
) -> None:
    """List runs, newest first.

    \b
    Example:
      jobledger list --state dead --kind SendInvoice
    """
    from jobs.operations.inspect import find_runs
    from jobs.states import RunState

    app = open_app(options)
    page = find_runs(app, kind=kind, queue=queue, states=[RunState(one) for one in states], cursor=cursor, limit=limit)
    out.rows([_row(run) for run in page.runs], next_cursor=page.next_cursor, empty="no run matches", is_sorted=False)
    app.close()


def _row(run: object) -> dict[str, object]:
    return {column.name: getattr(run, column.name) for column in COLUMNS}
