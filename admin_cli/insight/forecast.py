"""`jobs queues forecast`: when the backlogs are gone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import click

from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.options import Globals, pass_globals
from admin_cli.runs.run_columns import fields_of
from admin_cli.runs.selector_options import complete_queues
from admin_cli.terminal.columns import Column
from admin_cli.terminal.output import Output, output_options
from jobs.forecast.drain_text import drain_text

if TYPE_CHECKING:
    from jobs.forecast.drain import Drain
    from jobs.operations.insight.forecast import Forecast


def _rate(value: float | None) -> str | None:
    return None if value is None else f"{value:.2f}/s"


COLUMNS = (
    Column("queue", gives=1, min_width=10),
    Column("ready"),
    Column("arrivals", lambda one: _rate(one.drain.arrivals), heading="COMES", gives=4),
    Column("capacity", lambda one: _rate(one.drain.capacity), heading="CAN", gives=3),
    Column("threads", gives=5),
    Column("gone_in", lambda one: drain_text(one.drain), heading="GONE IN", gives=2, min_width=16),
    Column("with_more", lambda one: drain_text(one.with_more), heading="WITH MORE", gives=2, min_width=16),
    Column("threads_needed", lambda one: one.drain.threads_needed, heading="KEEPS UP", gives=6),
    Column("parked", is_wide=True),
)


@click.command("forecast")
@click.argument("name", metavar="[QUEUE]", required=False, shell_complete=complete_queues)
@click.option(
    "--more-threads", type=click.IntRange(0, 10_000), default=0, metavar="N", help="Also with N more threads."
)
@output_options(COLUMNS)
@pass_globals
def forecast(options: Globals, out: Output, name: str | None, more_threads: int) -> None:
    """Forecast when the backlogs of queues are gone.

    From what came and ended in the last five minutes, and the threads that are live. KEEPS UP is how many threads end
    as much as comes.

    \b
    Example:
      jobledger queues forecast --more-threads 8
    """
    from jobs.operations.insight.forecast import forecasts

    found = forecasts(open_app(options), this_operator(), queue=name, more_threads=more_threads)
    out.rows(found, as_json=_as_json, empty="no queue holds runs")


def _as_json(one: Forecast) -> dict[str, object]:
    return {**fields_of(one), "drain": _drain(one.drain), "with_more": _drain(one.with_more)}


def _drain(drain: Drain | None) -> dict[str, object] | None:
    """Infinite is null with ``is_never``, since JSON has no infinity."""
    if drain is None:
        return None
    is_never = drain.likely is not None and math.isinf(drain.likely)
    return {**fields_of(drain), "is_never": is_never}
