"""`jobs queues`, and the commands that pause and resume kinds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from admin_cli.insight.forecast import forecast
from admin_cli.insight.retention import retain_queue, retention_pairs
from admin_cli.insight.status import QUEUE_COLUMNS
from admin_cli.insight.targets import budget_pairs, target_queue
from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.options import DURATION, REASON, Globals, pass_globals
from admin_cli.runs.run_columns import fields_of
from admin_cli.runs.selector_options import complete_kinds, complete_queues
from admin_cli.terminal import streams
from admin_cli.terminal.cells import aged
from admin_cli.terminal.output import Output, output_options, record_options
from admin_cli.terminal.record import Section
from jobs.formats.duration import format_duration
from jobs.formats.escaping import escape_controls

if TYPE_CHECKING:
    from jobs.ledger.operators.queues import PauseRecord

R = TypeVar("R")


@click.group("queues")
def queues() -> None:
    """Queues: list, pause and resume them.

    \b
    Example:
      jobledger queues pause mail --for 1h --reason "provider is down"
    """


@queues.command("list")
@output_options(QUEUE_COLUMNS)
@pass_globals
def list_queues(options: Globals, out: Output) -> None:
    """List the queues that hold runs, or are paused.

    \b
    Example:
      jobledger queues list
    """
    from jobs.operations.runs.inspect import status

    seen = status(open_app(options), this_operator())
    out.rows(seen.shown_queues, as_json=fields_of, empty="no queue has an unfinished run")


queues.add_command(forecast)


@queues.command("show")
@click.argument("name", metavar="QUEUE", shell_complete=complete_queues)
@record_options()
@pass_globals
def show_queue(options: Globals, out: Output, name: str) -> None:
    """Show a queue: its waiting runs, its workers and its pause.

    \b
    Example:
      jobledger queues show mail
    """
    from jobs.operations.insight.queues import look_at
    from jobs.operations.insight.targets import find_target

    app, operator = open_app(options), this_operator()
    seen, target = look_at(app, operator, name), find_target(app, operator, "queue", name)
    count, pause = seen.count, seen.pause
    pairs: list[tuple[str, object]] = [("queue", name)]
    if count is not None:
        pairs += [(one.name, one.of(count)) for one in QUEUE_COLUMNS[1:7]]
    pairs += [
        ("workers", ", ".join(seen.workers) or "none serves it"),
        ("kinds", ", ".join(seen.kinds) or None),
        ("target", f"a ready run waits {_span(seen.target_seconds)} at most"),
        ("max waiting", f"{seen.max_waiting:,} runs" if seen.max_waiting is not None else None),
    ]
    out.record(
        [
            Section(pairs=pairs),
            Section("Retention", pairs=retention_pairs(seen.retention)),
            Section("Error budget", pairs=budget_pairs(target)),
            Section("Paused", pairs=pause_pairs(pause)),
        ],
        data={
            "queue": name,
            "runs": count,
            "workers": seen.workers,
            "kinds": seen.kinds,
            "pause": pause,
            "target_seconds": seen.target_seconds,
            "target": target.as_data(),
            "max_waiting": seen.max_waiting,
            "retention": seen.retention,
        },
    )


def pause_pairs(pause: PauseRecord | None) -> list[tuple[str, object]]:
    """A pause as text; empty if there is none."""
    if pause is None:
        return []
    return [
        ("by", pause.paused_by),
        ("since", pause.paused_at),
        ("until", pause.paused_until or "it is resumed"),
        ("reason", pause.pause_reason),
    ]


def _pause_options(command: Callable[..., R]) -> Callable[..., R]:
    for option in (
        click.option("--new", "is_new", is_flag=True, help="Also if no queue or kind has this name."),
        click.option("--for", "span", type=DURATION, metavar="DURATION", help="Resume automatically after this long."),
        click.option("--reason", metavar="TEXT", help="Reason, for the audit log; `why` shows it."),
    ):
        command = option(command)
    return command


@queues.command("pause")
@click.argument("name", metavar="QUEUE", shell_complete=complete_queues)
@_pause_options
@pass_globals
def pause_queue(options: Globals, /, name: str, **how: Any) -> None:
    """Pause a queue: workers start none of its runs; running ones continue.

    \b
    Example:
      jobledger queues pause mail --for 1h --reason "provider is down"
    """
    pause(options, "queue", name, **how)


@queues.command("resume")
@click.argument("name", metavar="QUEUE", shell_complete=complete_queues)
@REASON
@pass_globals
def resume_queue(options: Globals, name: str, reason: str | None) -> None:
    """Resume a paused queue.

    \b
    Example:
      jobledger queues resume mail
    """
    resume(options, "queue", name, reason=reason)


queues.add_command(target_queue)
queues.add_command(retain_queue)


@queues.command("limit")
@click.argument("name", metavar="QUEUE", shell_complete=complete_queues)
@click.option("--waiting", "most", type=click.IntRange(1), metavar="N", help="How many runs may wait.")
@click.option("--clear", is_flag=True, help="Any number may wait.")
@click.option("--new", "is_new", is_flag=True, help="Also if no queue has this name.")
@REASON
@pass_globals
def limit_queue(options: Globals, name: str, most: int | None, clear: bool, is_new: bool, reason: str | None) -> None:
    """Set how many runs may wait in a queue before an enqueue is refused.

    \b
    Example:
      jobledger queues limit mail --waiting 100000
    """
    from jobs.operations.control import waiting_limits

    if clear == (most is not None):
        raise click.UsageError("Say either --waiting N or --clear.")
    app = open_app(options)
    if most is None:
        before = waiting_limits.clear_waiting_limit(app, this_operator(), name, reason=reason)
        said = f"Any number of runs may wait in queue {name} again; it was {before:,}."
    else:
        waiting_limits.limit_waiting(app, this_operator(), name, most=most, reason=reason, is_new=is_new)
        said = f"At most {most:,} runs may wait in queue {name}; processes that enqueue follow within 5 s."
    streams.write_message(escape_controls(said))


def _span(seconds: float) -> str:
    return format_duration(timedelta(seconds=seconds))


@click.command("pause")
@click.argument("name", metavar="KIND", shell_complete=complete_kinds)
@_pause_options
@pass_globals
def pause_kind(options: Globals, /, name: str, **how: Any) -> None:
    """Pause a kind: workers start none of its runs; running ones continue.

    \b
    Example:
      jobledger kinds pause SendInvoice --reason "wrong template"
    """
    pause(options, "kind", name, **how)


@click.command("resume")
@click.argument("name", metavar="KIND", shell_complete=complete_kinds)
@REASON
@pass_globals
def resume_kind(options: Globals, name: str, reason: str | None) -> None:
    """Resume a paused kind.

    \b
    Example:
      jobledger kinds resume SendInvoice
    """
    resume(options, "kind", name, reason=reason)


def pause(options: Globals, what: str, name: str, *, reason: str | None, span: timedelta | None, is_new: bool) -> None:
    from jobs.operations.control import pause as pausing

    app = open_app(options)
    done = pausing.pause(app, this_operator(), what, name, reason=reason, span=span, is_new=is_new)
    until = f" until {done['paused_until'][:16].replace('T', ' ')} UTC" if done["paused_until"] else ""
    streams.write_message(escape_controls(f"{what} {name} is paused{until}; running runs continue."))


def resume(options: Globals, what: str, name: str, *, reason: str | None) -> None:
    from datetime import datetime

    from jobs.operations.control import pause as pausing

    app = open_app(options)
    before = pausing.resume(app, this_operator(), what, name, reason=reason)
    since = aged(datetime.fromisoformat(before["paused_at"]), now=app.clock.now())
    streams.write_message(
        escape_controls(f"{what} {name} is resumed; it was paused {since} by {before['paused_by'] or 'somebody'}.")
    )
