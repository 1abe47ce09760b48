"""`jobs queues target` and `jobs kinds target`, and targets as other commands show them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.options import DURATION, REASON, Globals, pass_globals
from admin_cli.runs.selector_options import complete_kinds, complete_queues
from admin_cli.terminal import streams
from admin_cli.terminal.columns import Column
from jobs.formats.duration import format_duration
from jobs.formats.escaping import escape_controls
from jobs.formats.percent import format_percent, parse_percent
from jobs.targets.budget_text import burn_rates_text, burning_text

if TYPE_CHECKING:
    from jobs.operations.insight.targets import TargetSummary

R = TypeVar("R")


class PercentType(click.ParamType[float]):
    """A share: ``99.5%``, ``99.5`` or ``0.995``."""

    name = "percent"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return value if isinstance(value, float) else parse_percent(str(value))
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


TARGET_COLUMNS = (
    Column("target", lambda one: f"{one.what} {one.name}", gives=1, min_width=12),
    Column("latency", lambda one: _latency(one.latency_seconds), gives=5),
    Column("success", lambda one: None if one.success is None else format_percent(one.success)),
    Column("left", lambda one: None if one.budget is None else f"{one.budget.left:,.0%}", heading="BUDGET LEFT"),
    Column("burn_5m", lambda one: _burn(one, "5m"), heading="BURN 5M"),
    Column("burn_1h", lambda one: _burn(one, "1h"), heading="1H"),
    Column("burn_6h", lambda one: _burn(one, "6h"), heading="6H", gives=3),
    Column("burn_3d", lambda one: _burn(one, "3d"), heading="3D", gives=4),
    Column(
        "state", lambda one: "burning" if one.is_burning else None, paint=lambda value: "red" if value else None
    ),
)  # fmt: skip


def _target_options(command: Callable[..., R]) -> Callable[..., R]:
    for option in (
        REASON,
        click.option("--new", "is_new", is_flag=True, help="Also if no queue or kind has this name."),
        click.option("--clear", is_flag=True, help="What the class or the settings say holds again."),
        click.option("--success", type=PercentType(), metavar="SHARE", help="Which part of the runs shall succeed."),
        click.option("--latency", type=DURATION, metavar="DURATION", help="How long a ready run may wait."),
    ):
        command = option(command)
    return command


@click.command("target")
@click.argument("name", metavar="QUEUE", shell_complete=complete_queues)
@_target_options
@pass_globals
def target_queue(options: Globals, /, name: str, **how: Any) -> None:
    """Set a queue's target: how long a ready run waits, how many succeed.

    The error budget of a success target is the rest: 0.5% of the runs that end, with 99.5%. `status` says when it
    burns too fast. A part that is not given stays as it is.

    \b
    Examples:
      jobledger queues target mail --latency 30s
      jobledger queues target mail --success 99.5%
    """
    _target(options, "queue", name, **how)


@click.command("target")
@click.argument("name", metavar="KIND", shell_complete=complete_kinds)
@_target_options
@pass_globals
def target_kind(options: Globals, /, name: str, **how: Any) -> None:
    """Set a kind's target: how long a ready run waits, how many succeed.

    It wins over `target=` of the job's class until it is cleared. A part that is not given stays as it is.

    \b
    Example:
      jobledger kinds target SendInvoice --success 99.5%
    """
    _target(options, "kind", name, **how)


def _target(
    options: Globals,
    what: str,
    name: str,
    *,
    latency: timedelta | None,
    success: float | None,
    clear: bool,
    is_new: bool,
    reason: str | None,
) -> None:
    from jobs.operations.control import targets
    from jobs.operations.insight.targets import find_target

    if clear == (latency is not None or success is not None):
        raise click.UsageError("Say --latency DURATION, --success SHARE or both; or --clear.")
    app, operator = open_app(options), this_operator()
    try:
        if clear:
            before = targets.clear_target(app, operator, name, what=what, reason=reason)
            now = find_target(app, operator, what, name)
            rest = _sentence(now.latency_seconds, now.success)
            if not rest and what == "queue":
                rest = f"a ready run waits {format_duration(app.settings.latency_target)} at most"
            was = _sentence(before.latency_seconds, before.success)
            said = f"The target of {what} {name} is cleared; it was: {was}."
            said += f" Now: {rest}." if rest else " Now there is none."
        else:
            found = targets.set_target(
                app, operator, name, what=what, latency=latency, success=success, reason=reason, is_new=is_new
            )
            said = f"The target of {what} {name}: {_sentence(found.latency_seconds, found.success)}."
        streams.write_message(escape_controls(said))
    finally:
        app.close()


def target_pairs(seen: TargetSummary) -> list[tuple[str, object]]:
    """A target as lines of a record; none if nothing is set or declared."""
    said = _sentence(seen.latency_seconds, None)
    if not said and seen.budget is None:
        return []
    by = "an operator" if seen.is_set else "the class"
    return [("latency", said or None), *budget_pairs(seen), ("set by", by)]


def budget_pairs(seen: TargetSummary) -> list[tuple[str, object]]:
    """An error budget as lines of a record; none without a success target."""
    if seen.budget is None:
        return []
    return [
        ("success", f"{format_percent(seen.budget.success)} of the runs succeed"),
        ("budget left", f"{seen.budget.left:,.1%} of that of 28 days"),
        ("burn rates", burn_rates_text(seen.budget)),
        ("burns", burning_text(seen.budget)),
    ]


def _sentence(latency: float | None, success: float | None) -> str:
    parts = []
    if latency is not None:
        parts.append(f"a ready run waits {format_duration(timedelta(seconds=latency))} at most")
    if success is not None:
        parts.append(f"{format_percent(success)} of the runs succeed")
    return ", ".join(parts)


def _latency(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


def _burn(one: TargetSummary, window: str) -> str | None:
    return None if one.budget is None else f"{one.budget.burn(window).rate:.1f}"
