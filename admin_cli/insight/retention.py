"""`jobs queues retain`, and the retention of a queue as other commands show it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.options import REASON, Globals, pass_globals
from admin_cli.program.prompt import confirm
from admin_cli.runs.selector_options import complete_queues
from admin_cli.terminal import streams
from jobs.formats.escaping import escape_controls
from jobs.operations.control.retain_time import RetainTime, format_retain_time, parse_retain_time
from jobs.states import RunState

if TYPE_CHECKING:
    from jobs.operations.insight.queues import RetentionSummary


class RetainTimeType(click.ParamType[RetainTime]):
    """``7d``, ``never`` or ``clear``."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> RetainTime:
        try:
            return parse_retain_time(str(value))
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


TIME = RetainTimeType()


@click.command("retain")
@click.argument("name", metavar="QUEUE", shell_complete=complete_queues)
@click.option("--succeeded", type=TIME, metavar="TIME", help="How long succeeded runs are kept: 7d, never or clear.")
@click.option("--cancelled", type=TIME, metavar="TIME", help="The same for cancelled runs.")
@click.option("--dead", type=TIME, metavar="TIME", help="The same for dead runs.")
@click.option("--clear", is_flag=True, help="Clear all: what classes and the settings say holds again.")
@click.option("--new", "is_new", is_flag=True, help="Also if no queue has this name.")
@REASON
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
@pass_globals
def retain_queue(
    options: Globals,
    /,
    name: str,
    clear: bool,
    is_new: bool,
    reason: str | None,
    yes: bool,
    **given: RetainTime | None,
) -> None:
    """Set how long ended runs of a queue are kept.

    It wins over `retain=` of the job's class and over JOBS_RETAIN_SUCCEEDED and the like, state by state, until it is
    cleared. A state that is not given stays as it is. It asks first if runs are over their new time already: the pruner
    deletes them soon, and `audit undo` does not bring them back.

    \b
    Examples:
      jobledger queues retain mail --succeeded 1d --dead never --yes
      jobledger queues retain mail --dead clear
    """
    from jobs.operations.control import retention
    from jobs.operations.insight.queues import retention_summaries

    times = {RunState(state): time for state, time in given.items() if time is not None}
    if clear == bool(times):
        raise click.UsageError("Say --succeeded TIME, --cancelled TIME, --dead TIME or several; or --clear.")
    app, operator = open_app(options), this_operator()
    if clear:
        before = retention.clear_retention(app, operator, name, reason=reason)
        was = _sentence(one for one in retention_summaries(app, before) if one.is_set)
        now = _sentence(retention_summaries(app, {}))
        said = f"The retention of queue {name} is cleared; it was: {was}. Now: {now}."
    else:
        over = retention.over_their_time(app, operator, name, times)
        more = " more than" if over.is_capped else ""
        confirm(over.number, f"let the pruner delete{more}", yes=yes)
        kept = retention.retain_queue(app, operator, name, times, reason=reason, is_new=is_new)
        said = f"Ended runs of queue {name} are kept: {_sentence(retention_summaries(app, kept))}."
    streams.write_message(escape_controls(said))


def retention_pairs(found: Iterable[RetentionSummary]) -> list[tuple[str, object]]:
    """How long ended runs are kept, as lines of a record."""
    return [(one.state, f"{format_retain_time(one.seconds)}, {_source(one)}") for one in found]


def _sentence(found: Iterable[RetentionSummary]) -> str:
    return "; ".join(f"{one.state} {format_retain_time(one.seconds)}, {_source(one)}" for one in found)


def _source(one: RetentionSummary) -> str:
    return "set by an operator" if one.is_set else f"by retain= or JOBS_RETAIN_{one.state.upper()}"
