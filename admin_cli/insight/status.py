"""`jobs status`: counts, rates and alerts on one screen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from admin_cli.insight.targets import TARGET_COLUMNS
from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.exits import CommandFailed, Exit
from admin_cli.program.names import command_line
from admin_cli.program.options import Globals, pass_globals
from admin_cli.program.watch import repeat, watch_option
from admin_cli.runs.run_columns import GROUP_COLUMNS
from admin_cli.terminal.columns import Column
from admin_cli.terminal.output import Output, record_options
from admin_cli.terminal.record import Section

if TYPE_CHECKING:
    from jobs.ledger.queries.reports import QueueCount
    from jobs.operations.insight.alerts import Alert
    from jobs.operations.insight.targets import TargetSummary
    from jobs.operations.runs.inspect import Status


def _oldest(queue: QueueCount) -> timedelta | None:
    return None if queue.oldest_seconds is None else timedelta(seconds=round(max(0.0, queue.oldest_seconds), 1))


QUEUE_COLUMNS = (
    Column("queue", gives=1, min_width=10),
    Column("ready"),
    Column("oldest", _oldest, gives=2),
    Column("running"),
    Column("retrying"),
    Column("scheduled", gives=3),
    Column("parked", gives=4),
    Column("waiting", gives=5),
    Column("dead", paint=lambda value: "red" if value else None),
    Column("paused", lambda queue: "paused" if queue.is_paused else None),
)

WORKER_COLUMNS = (
    Column("name", gives=1, min_width=12),
    Column("busy", lambda worker: f"{worker.busy}/{worker.threads}"),
    Column("queues", lambda worker: ", ".join(worker.queues), gives=2),
    Column("started_at", heading="STARTED"),
    Column("seen_at", heading="SEEN"),
    Column("version", is_wide=True),
    Column("release", is_wide=True),
    Column("kinds", lambda worker: ", ".join(worker.kinds), is_wide=True),
)


@click.command("status")
@watch_option
@click.option("--fail-on", metavar="LIMITS", help="Exit 6 when over: oldest=5m,dead=100,ready=1000,workers=1.")
@record_options()
@pass_globals
def status(options: Globals, out: Output, watch: timedelta | None, fail_on: str | None) -> None:
    """Show the state of the ledger and its alerts.

    Lists queues, workers, schedules, pauses and dead letters.

    \b
    Examples:
      jobledger status --watch
      jobledger status --fail-on oldest=5m,dead=100
    """
    limits = read_limits(fail_on) if fail_on is not None else {}
    app, operator = open_app(options), this_operator()

    def show() -> None:
        from jobs.operations.insight.alerts import alerts
        from jobs.operations.insight.targets import list_targets
        from jobs.operations.runs.inspect import status as look

        seen = look(app, operator)
        targets = list_targets(app, operator)
        wrong = alerts(app, operator, targets=targets)
        out.record(_blocks(seen, wrong, targets, app.database.shown), data=_data(seen, wrong, targets))
        over = _over(seen, limits)
        if over:
            raise CommandFailed(f"unhealthy: {'; '.join(over)}.", exit_code=Exit.UNHEALTHY)

    repeat(app, watch, show)


def read_limits(text: str) -> dict[str, float]:
    """``oldest=5m,dead=100`` as numbers; spans in seconds.

    Raises:
        click.UsageError: a name or a value is not valid.
    """
    from jobs.formats.duration import parse_duration

    limits: dict[str, float] = {}
    for part in text.split(","):
        name, sign, value = part.strip().partition("=")
        if name not in ("oldest", "dead", "ready", "workers") or not sign:
            raise click.UsageError(
                f"--fail-on: {part.strip()!r} is none of oldest=5m, dead=100, ready=1000, workers=1."
            )
        try:
            limits[name] = parse_duration(value).total_seconds() if name == "oldest" else int(value)
        except ValueError:
            raise click.UsageError(
                f"--fail-on {name}: {value!r} is no {'duration' if name == 'oldest' else 'number'}."
            ) from None
    return limits


def _over(seen: Status, limits: dict[str, float]) -> list[str]:
    found = []
    if "oldest" in limits and seen.oldest_seconds > limits["oldest"]:
        found.append(
            f"the oldest ready run waits for {seen.oldest_seconds:.0f}s, and {limits['oldest']:.0f}s are allowed"
        )
    for name in ("dead", "ready"):
        if name in limits and seen.total(name) > limits[name]:
            found.append(f"{seen.total(name):,} runs are {name}, and {limits[name]:,.0f} are allowed")
    if "workers" in limits and len(seen.workers) < limits["workers"]:
        found.append(f"{len(seen.workers)} worker processes are live, and {limits['workers']:.0f} are wanted")
    return found


def _blocks(seen: Status, wrong: Sequence[Alert], targets: Sequence[TargetSummary], ledger: str) -> list[Section]:
    ended = ", ".join(f"{number:,} {state}" for state, number in seen.ended_in_5m.items() if number)
    shown: list[Section] = [
        Section(pairs=[("ledger", ledger), ("last 5 minutes", ended or "nothing ended")]),
        # Dead letters have a table of their own, below.
        Section("Wrong", pairs=[(_label(one), _as_data(one)) for one in wrong if one.code != "dead"]),
        Section("Queues", columns=QUEUE_COLUMNS, rows=seen.shown_queues),
        Section("Targets", columns=TARGET_COLUMNS, rows=targets),
        Section("Workers", columns=WORKER_COLUMNS[:5], rows=seen.workers),
        Section("Dead letters", columns=GROUP_COLUMNS[:6], rows=seen.groups),
    ]
    return shown


def _label(one: Alert) -> str:
    return one.code.replace("_", " ")


def _as_data(one: Alert) -> str:
    return f"{one.sentence} See: {command_line(one.command)}"


def _data(seen: Status, wrong: Sequence[Alert], targets: Sequence[TargetSummary]) -> dict[str, object]:
    from jobs.ledger.queries.gauges import STATES

    return {
        "queues": seen.shown_queues,
        "workers": seen.workers,
        "dead_groups": seen.groups,
        "ended_in_5m": {state.value: number for state, number in seen.ended_in_5m.items()},
        "totals": {name: seen.total(name) for name in STATES},
        "oldest_seconds": seen.oldest_seconds,
        "targets": [one.as_data() for one in targets],
        "trouble": wrong,
    }
