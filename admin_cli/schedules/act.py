"""`jobs schedules run`, `pause`, `resume`, `delete` and `backfill`."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.options import Globals, pass_globals
from admin_cli.program.prompt import confirm
from admin_cli.schedules.timing_options import MOMENT, REASON, in_zone, zone_of
from admin_cli.terminal import streams
from jobs.formats.escaping import one_line


@click.command("run")
@click.argument("name")
@click.option("--for", "moment", type=MOMENT, metavar="MOMENT", help="Its scheduled_for; now otherwise. Naive is UTC.")
@REASON
@pass_globals
def run(options: Globals, name: str, moment: datetime | None, reason: str | None) -> None:
    """Make a run of a schedule now, and print its id.

    Beside its slots: paused or not, and whatever its overlap policy says.

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

    Runs that exist go on. A deploy does not resume what was paused.

    \b
    Example:
      jobledger schedules pause nightly --reason "during the move"
    """
    from jobs.operations.schedules.actions import pause_schedule

    app = open_app(options)
    for name in names:
        moved = pause_schedule(app, name, by=this_operator(), reason=reason)
        streams.say(f"{one_line(name)}: {'paused' if moved else 'was paused already'}")
    app.close()


@click.command("resume")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("--catch-up", "catches_up", is_flag=True, help="Treat slots of the pause as missed ones, by its policy.")
@REASON
@pass_globals
def resume(options: Globals, names: tuple[str, ...], catches_up: bool, reason: str | None) -> None:
    """Make runs of paused schedules again.

    Slots of the pause are skipped, unless --catch-up says otherwise.

    \b
    Example:
      jobledger schedules resume nightly --catch-up
    """
    from jobs.operations.schedules.actions import resume_schedule

    app = open_app(options)
    for name in names:
        moved = resume_schedule(app, name, by=this_operator(), reason=reason, catches_up=catches_up)
        streams.say(f"{one_line(name)}: {'resumed' if moved else 'was not paused'}")
    app.close()


@click.command("delete")
@click.argument("name")
@click.option("--force", is_flag=True, help="Even one of the code; a scheduler whose code has it writes it again.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
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
    streams.say(f"{one_line(name)}: deleted")


@click.command("backfill")
@click.argument("name")
@click.option("--from", "since", type=MOMENT, metavar="MOMENT", required=True, help="The first moment.")
@click.option("--to", "until", type=MOMENT, metavar="MOMENT", help="The last moment; now otherwise.")
@click.option("--timezone", help="What naive moments are in; UTC otherwise.")
@click.option("--dry-run", is_flag=True, help="Only show the slots.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
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
    """Make the runs of slots that made none.

    Slots that were missed, skipped, or before the schedule was made; all due at once, each with its own
    scheduled_for. Asked for again, it makes only those that are still without a run.

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
        streams.say(f"would make {len(moments)} runs")
    else:
        confirm(len(moments), "backfill", yes=yes, noun="slot")
        made = backfill_schedule(app, name, moments, by=this_operator(), reason=reason)
        streams.say(f"{one_line(name)}: made {made} runs")
    app.close()
