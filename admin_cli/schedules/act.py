"""`jobs schedules run`, `pause`, `resume`, `delete` and `backfill`."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.options import REASON, Globals, pass_globals
from admin_cli.program.prompt import confirm
from admin_cli.schedules.timing_options import MOMENT, in_zone, zone_of
from admin_cli.terminal import streams
from jobs.formats.escaping import one_line


@click.command("run")
@click.argument("name")
@click.option(
    "--for",
    "moment",
    type=MOMENT,
    metavar="MOMENT",
    help="The run's scheduled_for; default: now. UTC unless it has a zone.",
)
@REASON
@pass_globals
def run(options: Globals, name: str, moment: datetime | None, reason: str | None) -> None:
    """Make a run of a schedule now, and print its id.

    The run is in addition to its slots. It ignores a pause and the overlap policy.

    \b
    Example:
      jobledger schedules run nightly --reason "for the auditors"
    """
    from jobs.operations.schedules.actions import run_schedule

    app = open_app(options)
    wanted = in_zone(moment, UTC) if moment else None
    run_id = run_schedule(app, name, by=this_operator(), moment=wanted, reason=reason)
    app.close()
    streams.write(f"{run_id}\n")


@click.command("pause")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@REASON
@pass_globals
def pause(options: Globals, names: tuple[str, ...], reason: str | None) -> None:
    """Make no runs of schedules until they are resumed.

    Existing runs continue. A deploy does not resume a paused schedule.

    \b
    Example:
      jobledger schedules pause nightly --reason "during the move"
    """
    from jobs.operations.schedules.actions import pause_schedule

    app = open_app(options)
    for name in names:
        moved = pause_schedule(app, name, by=this_operator(), reason=reason)
        streams.write_message(f"{one_line(name)}: {'paused' if moved else 'was paused already'}")
    app.close()


@click.command("resume")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option(
    "--catch-up", "catches_up", is_flag=True, help="Treat the slots of the pause as missed, by the schedule's policy."
)
@REASON
@pass_globals
def resume(options: Globals, names: tuple[str, ...], catches_up: bool, reason: str | None) -> None:
    """Make runs of paused schedules again.

    Slots of the pause are skipped, unless you add --catch-up.

    \b
    Example:
      jobledger schedules resume nightly --catch-up
    """
    from jobs.operations.schedules.actions import resume_schedule

    app = open_app(options)
    for name in names:
        moved = resume_schedule(app, name, by=this_operator(), reason=reason, catches_up=catches_up)
        streams.write_message(f"{one_line(name)}: {'resumed' if moved else 'was not paused'}")
    app.close()


@click.command("delete")
@click.argument("name")
@click.option(
    "--force",
    is_flag=True,
    help="Also delete a schedule declared in code; a scheduler that runs this code creates it again.",
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
@REASON
@pass_globals
def delete(options: Globals, name: str, force: bool, yes: bool, reason: str | None) -> None:
    """Delete a schedule; its slots stay on record.

    \b
    Example:
      jobledger schedules delete eu-report --yes
    """
    from jobs.operations.schedules.actions import delete_schedule
    from jobs.operations.schedules.views import show_schedule

    app = open_app(options)
    show_schedule(app, this_operator(), name, limit=0)
    confirm(1, "delete", yes=yes, noun="schedule")
    delete_schedule(app, name, by=this_operator(), reason=reason, is_forced=force)
    app.close()
    streams.write_message(f"{one_line(name)}: deleted")


@click.command("backfill")
@click.argument("name")
@click.option("--from", "since", type=MOMENT, metavar="MOMENT", required=True, help="Start of the period.")
@click.option("--to", "until", type=MOMENT, metavar="MOMENT", help="End of the period; default: now.")
@click.option("--timezone", help="Time zone of moments without a zone; default: UTC.")
@click.option("--dry-run", is_flag=True, help="Only show the slots.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
@REASON
@pass_globals
def backfill(
    options: Globals,
    name: str,
    since: datetime,
    until: datetime | None,
    timezone: str | None,
    dry_run: bool,
    yes: bool,
    reason: str | None,
) -> None:
    """Make the runs of slots that have no run.

    For slots that were missed or skipped, or lie before the schedule was created. All runs are due at once, each
    with its own scheduled_for. A second backfill makes only the runs that are still missing.

    \b
    Example:
      jobledger schedules backfill nightly --from 2026-11-01 --to 2026-11-07
    """
    from jobs.operations.schedules.backfill import backfill_schedule, plan_backfill

    app = open_app(options)
    zone = zone_of(timezone)
    end = in_zone(until, zone) if until else app.clock.now()
    moments = plan_backfill(app, this_operator(), name, since=in_zone(since, zone), until=end)
    if dry_run:
        for moment in moments:
            streams.write(f"{moment.isoformat()}\n")
        streams.write_message(f"would make {len(moments)} runs")
    else:
        confirm(len(moments), "backfill", yes=yes, noun="slot")
        made = backfill_schedule(app, name, moments, by=this_operator(), reason=reason)
        streams.write_message(f"{one_line(name)}: made {made} runs")
    app.close()
