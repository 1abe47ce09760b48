"""`jobs chaos`: marks a ledger on which chaos may be run, and takes the mark away."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from admin_cli.chaos.run import run_chaos
from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.options import DURATION, REASON, Globals, pass_globals
from admin_cli.terminal import streams
from admin_cli.terminal.columns import Column
from admin_cli.terminal.output import Output, record_options
from admin_cli.terminal.record import Section
from jobs.formats.escaping import escape_controls

if TYPE_CHECKING:
    from jobs.ledger.chaos.targets import ChaosTarget

WORKER_COLUMNS = (
    Column("name", heading="WORKER", gives=1, min_width=20),
    Column("host", gives=2),
    Column("pid"),
    Column("target", lambda worker: worker.target or "none", paint=lambda value: "red" if value == "none" else None),
)
TARGET = click.option("--target", required=True, metavar="NAME", help="Name of the target: staging, say.")


@click.group("chaos")
def chaos() -> None:
    """Chaos on a staging ledger: allow, run, and prove.

    Workers that it may kill are started with JOBS_CHAOS=staging in their environment. A ledger that has any other live
    worker refuses.

    \b
    Examples:
      jobledger chaos allow --target staging --for 8h --reason "game day"
      jobledger chaos run --target staging --for 2m --seed 7
    """


@chaos.command("allow")
@TARGET
@click.option("--for", "span", type=DURATION, default="8h", show_default=True, help="How long; at most 7 days.")
@REASON
@pass_globals
def allow_chaos(options: Globals, target: str, span: timedelta, reason: str | None) -> None:
    """Mark the ledger: chaos may be run on it. Undo: chaos revoke.

    Refused while a live worker was not started for this target, as on every production ledger that is in use.

    \b
    Example:
      jobledger chaos allow --target staging --for 8h --reason "game day"
    """
    from jobs.operations.chaos import target as operations

    mark = operations.allow(open_app(options), this_operator(), target, span=span, reason=reason)
    streams.write_message(escape_controls(f"This ledger is {mark.target}: chaos is allowed until {_moment(mark)}."))


@chaos.command("revoke")
@REASON
@pass_globals
def revoke_chaos(options: Globals, reason: str | None) -> None:
    """Remove the mark. A run of chaos that is under way ends.

    \b
    Example:
      jobledger chaos revoke
    """
    from jobs.operations.chaos import target as operations

    mark = operations.revoke(open_app(options), this_operator(), reason=reason)
    streams.write_message(escape_controls(f"Chaos is no longer allowed: this ledger was {mark.target}."))


@chaos.command("show")
@record_options()
@pass_globals
def show_chaos(options: Globals, out: Output) -> None:
    """Show whether chaos is allowed, and what each live worker was started for.

    \b
    Example:
      jobledger chaos show
    """
    from jobs.operations.chaos import target as operations

    mark, workers = operations.show(open_app(options), this_operator())
    is_allowed = mark is not None and not mark.is_over
    pairs: list[tuple[str, object]] = [("chaos", "allowed" if is_allowed else "not allowed")]
    if mark is not None:
        pairs += [("target", mark.target), ("until", mark.allowed_until), ("allowed by", mark.allowed_by)]
        pairs += [("reason", mark.reason), ("run by", mark.run_by), ("run until", mark.run_until)]
    out.record(
        [
            Section(pairs=[(name, value) for name, value in pairs if value is not None]),
            Section("Live workers", columns=WORKER_COLUMNS, rows=workers),
        ],
        data={
            "is_allowed": is_allowed,
            "target": mark and mark.target,
            "reason": mark and mark.reason,
            "allowed_by": mark and mark.allowed_by,
            "allowed_at": mark and mark.allowed_at,
            "allowed_until": mark and mark.allowed_until,
            "run_by": mark and mark.run_by,
            "run_until": mark and mark.run_until,
            "workers": [{"name": one.name, "host": one.host, "pid": one.pid, "target": one.target} for one in workers],
        },
    )


def _moment(mark: ChaosTarget) -> str:
    return f"{mark.allowed_until:%Y-%m-%d %H:%M} UTC"


chaos.add_command(run_chaos)
