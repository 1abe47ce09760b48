"""`jobs schedules`: lists, shows, previews and changes schedules and their slots."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.lazy import Entry, LazyGroup
from admin_cli.program.options import Globals, pass_globals
from admin_cli.runs.run_columns import fields_of
from admin_cli.schedules.timing_options import MOMENT, in_zone, timing_options, zone_of
from admin_cli.terminal.columns import Column
from admin_cli.terminal.output import Output, output_options, record_options
from admin_cli.terminal.section import Section

if TYPE_CHECKING:
    from jobs.ledger.schedules.schedules import Owner
    from jobs.operations.schedules.views import ScheduleView
    from jobs.scheduling.preview import PlannedSlot
    from jobs.scheduling.schedule import Schedule

STATE_STYLES = {"active": "green", "paused": "yellow", "broken": "red", "ended": "dim"}


def paint(value: object) -> str | None:
    return STATE_STYLES.get(str(value))


COLUMNS = (
    Column("name", gives=1, min_width=12),
    Column("state", paint=paint),
    Column("next_at", heading="NEXT"),
    Column("last_at", heading="LAST"),
    Column("kind", gives=2),
    Column("when", gives=3, min_width=12),
    Column("owner", is_wide=True),
    Column("overlap", is_wide=True),
    Column("catch_up", is_wide=True),
    Column("last_success_at", is_wide=True),
    Column("late", is_wide=True),
    Column("paused_by", is_wide=True),
    Column("place", is_wide=True, gives=2),
)
SLOTS = (
    Column("slot_at", heading="SLOT"),
    Column("state"),
    Column("run_id", heading="RUN"),
    Column("why", gives=1),
    Column("decided_at", is_wide=True),
    Column("older_missed", is_wide=True),
)
PREVIEW = (
    Column("slot", heading="SLOT (UTC)", value=lambda row: _plain(row.slot)),
    Column("local", value=lambda row: f"{_plain(row.local)} {row.local:%Z}"),
    Column("run_at", is_wide=True),
    Column("note", gives=1),
)

ENTRIES = {
    "list": Entry("admin_cli.schedules.commands:list_command", "List schedules by name."),
    "show": Entry("admin_cli.schedules.commands:show", "Show a schedule, its latest slots and its next ones."),
    "preview": Entry(
        "admin_cli.schedules.commands:preview", "Show when a schedule fires, before or after it is saved."
    ),
    "run": Entry("admin_cli.schedules.act:run", "Make a run of a schedule now, and print its id."),
    "pause": Entry("admin_cli.schedules.act:pause", "Make no runs of schedules until they are resumed."),
    "resume": Entry("admin_cli.schedules.act:resume", "Make runs of paused schedules again."),
    "create": Entry("admin_cli.schedules.edit:create", "Add a schedule."),
    "edit": Entry("admin_cli.schedules.edit:edit", "Change a schedule that an operator created."),
    "delete": Entry("admin_cli.schedules.act:delete", "Delete a schedule; the record of its slots stays."),
    "backfill": Entry("admin_cli.schedules.act:backfill", "Make the runs of slots that have no run."),
}


@click.group("schedules", cls=LazyGroup, entries=ENTRIES)
def schedules() -> None:
    """Schedules: list, create, change, pause and preview them.

    \b
    Example:
      jobledger schedules preview --cron "30 2 * * *" --timezone Europe/Paris
    """


@click.command("list")
@click.option("-k", "--kind", help="Only schedules of this kind.")
@click.option(
    "--owner", type=click.Choice(["code", "operator"]), help="Only schedules declared in code, or created by operators."
)
@click.option("-s", "--state", type=click.Choice(list(STATE_STYLES)), help="Only schedules in this state.")
@click.option(
    "-n", "--limit", type=click.IntRange(1, 10_000), default=1000, show_default=True, help="At most this many."
)
@click.option("--cursor", help="Start after this name.")
@output_options(COLUMNS)
@pass_globals
def list_command(
    options: Globals,
    out: Output,
    kind: str | None,
    owner: Owner | None,
    state: str | None,
    limit: int,
    cursor: str | None,
) -> None:
    """List schedules by name.

    \b
    Example:
      jobledger schedules list --state paused
    """
    from jobs.operations.schedules.views import list_schedules

    app = open_app(options)
    found = list_schedules(app, this_operator(), kind=kind, owner=owner, state=state, after=cursor, limit=limit)
    out.rows(
        [row_of(view) for view in found],
        next_cursor=found[-1].record.name if len(found) == limit else None,
        empty="no schedule matches; a scheduler writes the schedules of the code when it starts",
    )
    app.close()


@click.command("show")
@click.argument("name")
@click.option(
    "-n", "--limit", type=click.IntRange(0, 1000), default=10, show_default=True, help="Number of slots to show."
)
@record_options()
@pass_globals
def show(options: Globals, out: Output, name: str, limit: int) -> None:
    """Show a schedule, its latest slots and its next ones.

    \b
    Example:
      jobledger schedules show nightly
    """
    from jobs.operations.schedules.views import show_schedule

    app = open_app(options)
    view, past, coming = show_schedule(app, this_operator(), name, limit=limit)
    record = view.record
    row = row_of(view)
    definition = json.loads(record.definition)
    pairs = [(key, value) for key, value in row.items() if value not in (None, "")]
    pairs += [(key, value) for key, value in definition.items() if value is not None and key not in row]
    pairs += [("queue", record.queue), ("problem", record.problem), ("pause_reason", record.pause_reason)]
    out.record(
        [
            Section(pairs=[(_label(key), value) for key, value in pairs if value is not None]),
            Section("Arguments", text=record.arguments if record.arguments != "{}" else None),
            Section("Coming", columns=PREVIEW, rows=coming),
            Section("Slots", columns=SLOTS[:4], rows=past),
        ],
        data={
            **row,
            "definition": definition,
            "arguments": json.loads(record.arguments),
            "queue": record.queue,
            "problem": record.problem,
            "coming": coming,
            "slots": past,
        },
    )
    app.close()


@click.command("preview")
@click.argument("name", required=False)
@click.option("--from", "since", type=MOMENT, metavar="MOMENT", help="Start of the preview; default: now.")
@click.option("--to", "until", type=MOMENT, metavar="MOMENT", help="End of the preview; default: ten years later.")
@click.option("-n", "--limit", type=click.IntRange(1, 10_000), default=10, show_default=True, help="At most this many.")
@timing_options
@output_options(PREVIEW)
@pass_globals
def preview(
    options: Globals,
    out: Output,
    name: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    data: dict[str, Any],
) -> None:
    """Show when a schedule fires, before or after it is saved.

    Give the NAME of a schedule in the ledger, or --cron, --every or --at. The preview marks clock changes.

    \b
    Example:
      jobledger schedules preview --cron "30 2 * * *" --timezone Europe/Paris
    """
    from jobs.clock import SystemClock
    from jobs.operations.schedules.views import preview_schedule
    from jobs.scheduling.preview import preview as preview_of
    from jobs.scheduling.serialize import from_data

    if (name is None) == ("type" not in data):
        raise click.UsageError("Give the NAME of a schedule, or one of --cron, --every and --at.")
    zone = zone_of(data.get("timezone"))
    begin = in_zone(since, zone) if since else None
    end = in_zone(until, zone) if until else (begin or SystemClock().now()) + timedelta(days=3653)
    planned: list[PlannedSlot]
    if name is not None:
        app = open_app(options)
        planned = preview_schedule(app, this_operator(), name, since=begin, until=end, limit=limit)
        app.close()
    else:
        schedule: Schedule = from_data(data)
        after = begin - timedelta(microseconds=1) if begin else SystemClock().now()
        planned = preview_of(schedule, after=after, until=end, limit=limit)
    out.rows(planned, as_json=fields_of, empty="it does not fire in this period")


def row_of(view: ScheduleView) -> dict[str, object]:
    """A schedule as a row of a list."""
    record = view.record
    definition = json.loads(record.definition)
    return {
        "name": record.name,
        "state": record.state,
        "next_at": None if record.paused_at else record.held_slot_at or record.next_slot_at,
        "last_at": record.last_slot_at,
        "kind": record.kind,
        "when": view.when,
        "owner": record.owner,
        "overlap": definition.get("overlap"),
        "catch_up": definition.get("catch_up"),
        "last_success_at": view.last_success_at,
        "late": timedelta(seconds=view.late_seconds) if view.late_seconds else None,
        "paused_by": record.paused_by,
        "place": record.place,
    }


def _label(key: str) -> str:
    return key.removesuffix("_at").replace("_", " ")


def _plain(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(" ", "seconds")
