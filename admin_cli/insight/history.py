"""`jobs history`: ended runs leave the hot tables for partitions, which retention drops."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.options import REASON, Globals, pass_globals
from admin_cli.terminal import streams
from admin_cli.terminal.columns import Column
from admin_cli.terminal.output import Output, record_options
from admin_cli.terminal.section import Section

if TYPE_CHECKING:
    from jobs.operations.control.history import HistoryStatus

PARTITION_COLUMNS = (
    Column("rule"),
    Column("begin", heading="FROM"),
    Column("end", heading="TO", gives=3),
    Column("rows", heading="RUNS"),
    Column("bytes", gives=2),
    Column("drops_at", heading="DROPPED", gives=1),
)
DETACHED_COLUMNS = (Column("name", heading="TABLE"), Column("rows"), Column("bytes"))

_FIELDS = ("state", "period", "enabled_at", "moves_after", "partitions", "detached")


@click.group("history")
def history() -> None:
    """History of ended runs: enable, disable and show it.

    \b
    Example:
      jobledger history status
    """


@history.command("enable")
@click.option(
    "--by", "period", type=click.Choice(["month", "week", "day"]), default="month", show_default=True,
    help="Length of the partitions that are made from now on.",
)  # fmt: skip
@REASON
@pass_globals
def enable(options: Globals, period: str, reason: str | None) -> None:
    """Let ended runs move into partitions, from a minute from now.

    PostgreSQL only. Lists, pages and the API read both as one. The role must own the ledger's tables, as the workers'
    role must. "history disable" ends it.

    \b
    Example:
      jobledger history enable --by week --reason "a year of runs"
    """
    from jobs.operations.control import history as operations

    found = operations.enable_history(open_app(options), this_operator(), period=period, reason=reason)
    streams.write_message(f"Ended runs move to history, by {found.period}, from a minute from now.")


@history.command("disable")
@REASON
@pass_globals
def disable(options: Globals, reason: str | None) -> None:
    """Let no more runs move; what has moved stays and can be read.

    Retention drops it when its time is over.

    \b
    Example:
      jobledger history disable --reason "we move to another server"
    """
    from jobs.operations.control import history as operations

    operations.disable_history(open_app(options), this_operator(), reason=reason)
    streams.write_message("Ended runs stay in the hot tables from now on. What has moved can still be read.")


@history.command("status")
@record_options()
@pass_globals
def status(options: Globals, out: Output) -> None:
    """Show whether runs move, and each partition with its size.

    Numbers of runs are estimates, as of the last ANALYZE.

    \b
    Example:
      jobledger history status
    """
    from jobs.operations.control import history as operations

    found = operations.history_status(open_app(options), this_operator())
    out.record(
        [
            Section(pairs=_pairs(found)),
            Section("Partitions", columns=PARTITION_COLUMNS, rows=found.partitions),
            Section("Detached by somebody", columns=DETACHED_COLUMNS, rows=found.detached),
        ],
        data={name: getattr(found, name) for name in _FIELDS},
    )


def _pairs(found: HistoryStatus) -> list[tuple[str, object]]:
    pairs: list[tuple[str, object]] = [("history", found.state)]
    if found.period is not None:
        pairs += [("partitions by", found.period), ("enabled", found.enabled_at), ("runs", f"about {found.rows:,}")]
        pairs += [("size", f"{found.bytes / 2**20:,.0f} MB")]
    return pairs
