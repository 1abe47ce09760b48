"""`jobs schedules create` and `edit`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TextIO

import click

from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.options import IMPORT, REASON, Globals, pass_globals
from admin_cli.runs.enqueue import read_arguments
from admin_cli.schedules.timing_options import schedule_options
from admin_cli.terminal import streams
from jobs.formats.escaping import one_line

if TYPE_CHECKING:
    from jobs.operations.schedules.views import ScheduleView

_ARGUMENT = click.option("-a", "--argument", "pairs", metavar="NAME=VALUE", multiple=True, help="An argument.")
_ARGS = click.option(
    "--args", "file", type=click.File("r"), help="All arguments: a file with a JSON object, or - for stdin."
)
_QUEUE = click.option("--queue", help="Overrides the job's value.")
_PRIORITY = click.option("--priority", type=click.IntRange(-1000, 1000), help="Overrides the job's value.")


@click.command("create")
@click.argument("name")
@click.argument("kind")
@schedule_options
@_ARGUMENT
@_ARGS
@_QUEUE
@_PRIORITY
@REASON
@IMPORT
@pass_globals
def create(
    options: Globals,
    name: str,
    kind: str,
    data: dict[str, Any],
    pairs: tuple[str, ...],
    file: TextIO | None,
    queue: str | None,
    priority: int | None,
    reason: str | None,
    imports: tuple[str, ...],
) -> None:
    """Add a schedule.

    NAME is the schedule's name. KIND is the kind of its runs; import its module to check the arguments.

    \b
    Example:
      jobledger schedules create eu-report Report --cron "0 9 * * *" -a eu=1 --import shop.jobs
    """
    from jobs.operations.schedules.edit import new_schedule

    if "type" not in data:
        raise click.UsageError("Give a time: --cron, --every or --at.")
    app = open_app(options, imports=imports)
    arguments = read_arguments(pairs, file)
    view = new_schedule(
        app, name, kind, arguments, data, queue=queue, priority=priority, by=this_operator(), reason=reason
    )  # fmt: skip
    app.close()
    _print_next_run(view)


@click.command("edit")
@click.argument("name")
@schedule_options
@click.option("--clear", multiple=True, metavar="OPTION", help="Reset an option to its default, such as end.")
@_ARGUMENT
@_ARGS
@_QUEUE
@_PRIORITY
@REASON
@IMPORT
@pass_globals
def edit(
    options: Globals,
    name: str,
    data: dict[str, Any],
    clear: tuple[str, ...],
    pairs: tuple[str, ...],
    file: TextIO | None,
    queue: str | None,
    priority: int | None,
    reason: str | None,
    imports: tuple[str, ...],
) -> None:
    """Change a schedule that was created here.

    Only the given options change; -a replaces all arguments. Slots that are already due follow the old schedule.

    \b
    Example:
      jobledger schedules edit eu-report --cron "0 8 * * *" --clear jitter
    """
    from jobs.operations.schedules.edit import change_schedule

    app = open_app(options, imports=imports if pairs or file else None)
    arguments = read_arguments(pairs, file) if pairs or file else None
    changes = {**_cleared(clear), **data}
    if not changes and arguments is None and queue is None and priority is None:
        raise click.UsageError("No option to change was given.")
    view = change_schedule(
        app, name, changes, arguments=arguments, queue=queue, priority=priority, by=this_operator(), reason=reason
    )  # fmt: skip
    app.close()
    _print_next_run(view)


def _cleared(names: tuple[str, ...]) -> dict[str, None]:
    known = {
        "start": "start",
        "end": "end",
        "jitter": "jitter_seconds",
        "anchor": "anchor",
        "timezone": "timezone",
        "overlap": "overlap",
        "catch-up": "catch_up",
        "max-catch-up": "max_catch_up",
        "catch-up-window": "catch_up_window_seconds",
    }
    for name in names:
        if name.removeprefix("--") not in known:
            raise click.UsageError(f"--clear {name!r}is not an option. Options: {', '.join(known)}.")
    return {known[name.removeprefix("--")]: None for name in names}


def _print_next_run(view: ScheduleView) -> None:
    record = view.record
    first = f"; next {record.next_slot_at:%Y-%m-%d %H:%M:%S} UTC" if record.next_slot_at else ""
    streams.write_message(f"{one_line(record.name)}: {one_line(view.when)}{first}")
