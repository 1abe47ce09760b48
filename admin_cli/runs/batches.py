"""`jobs batches`: lists, shows, cancels and replays batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.options import Globals, pass_globals
from admin_cli.runs.bulk import act_on, bulk_options
from admin_cli.runs.run_columns import RUN_COLUMNS, run_json
from admin_cli.terminal.columns import Column
from admin_cli.terminal.output import Output, output_options, record_options
from admin_cli.terminal.record import Section

if TYPE_CHECKING:
    from jobs.ledger.batches.find import BatchRecord

STYLES = {"running": "cyan", "succeeded": "green", "dead": "red", "cancelled": "dim"}


def _ended(one: BatchRecord) -> str:
    share = 100 * (one.total - one.pending) // one.total if one.total else 100
    return f"{one.total - one.pending:,}/{one.total:,} {share}%"


BATCH_COLUMNS = (
    Column("id", is_id=True),
    Column("name", gives=1, min_width=12),
    Column("state", paint=lambda value: STYLES.get(str(value))),
    Column("ended", _ended),
    Column("dead", paint=lambda value: "red" if value else None),
    Column("cancelled", gives=3),
    Column("created_at", heading="SINCE", gives=2),
    Column("generation", is_wide=True),
    Column("ended_at", is_wide=True),
)
FIELDS = (
    "id", "name", "state", "generation", "total", "pending", "succeeded", "dead", "cancelled", "created_at",
    "sealed_at", "ended_at", "cancelled_at", "run_id", "parent_id", "enqueued_by", "correlation_id",
)  # fmt: skip


def batch_json(one: BatchRecord) -> dict[str, Any]:
    return {name: getattr(one, name) for name in FIELDS}


@click.group("batches")
def batches() -> None:
    """Batches: list, show, cancel and replay them.

    \b
    Example:
      jobledger batches list --running
    """


@batches.command("list")
@click.option("--running", is_flag=True, help="Only those that have not ended.")
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many.")
@output_options(BATCH_COLUMNS)
@pass_globals
def list_command(options: Globals, out: Output, running: bool, limit: int) -> None:
    """List batches, the latest first; `show` lists those inside one.

    \b
    Example:
      jobledger batches list --running
    """
    from jobs.operations.runs.batches import list_batches

    found = list_batches(open_app(options), this_operator(), is_running=running, limit=limit)
    out.rows(found.items, as_json=batch_json, empty="no batch matches")


@batches.command("show")
@click.argument("batch", metavar="ID")
@record_options()
@pass_globals
def show(options: Globals, out: Output, batch: str) -> None:
    """Show a batch: its counts, inner batches and first members.

    \b
    Example:
      jobledger batches show 0000ba7c
    """
    from jobs.operations.runs import inspect
    from jobs.operations.runs.batches import show_batch
    from jobs.operations.runs.selector import SelectorInput, make_selector

    app, operator = open_app(options), this_operator()
    seen = show_batch(app, operator, batch)
    one = seen.batch
    members = inspect.list_runs(
        app, operator, make_selector(app, SelectorInput(batches=(str(one.id),))), limit=20
    ).runs  # fmt: skip
    pairs = [(name.replace("_", " "), value) for name, value in batch_json(one).items() if value not in (None, "")]
    out.record(
        [
            Section(pairs=pairs),
            Section("Inner batches", columns=BATCH_COLUMNS[:6], rows=seen.inner.items),
            Section("Members", columns=RUN_COLUMNS[:6], rows=members),
        ],
        data={
            **batch_json(one),
            "inner": [batch_json(inner) for inner in seen.inner.items],
            "members": [run_json(run) for run in members],
        },
    )


@batches.command("cancel")
@click.argument("batch", metavar="ID")
@bulk_options
@record_options()
@pass_globals
def cancel(options: Globals, out: Output, batch: str, how: dict[str, Any]) -> None:
    """Cancel the members of a batch and of inner ones, and refuse further ones.

    \b
    Example:
      jobledger batches cancel 0000ba7c --reason "wrong file"
    """
    from jobs.operations.bulk.cancel import CancelAction
    from jobs.operations.runs.batches import close_batch
    from jobs.operations.runs.selector import SelectorInput

    app = open_app(options)
    act_on(
        app,
        out,
        CancelAction(reason=how["reason"]),
        SelectorInput(batches=(batch,)),
        how,
        once_confirmed=lambda: close_batch(app, this_operator(), batch),
    )


@batches.command("replay")
@click.argument("batch", metavar="ID")
@bulk_options
@record_options()
@pass_globals
def replay(options: Globals, out: Output, batch: str, how: dict[str, Any]) -> None:
    """Replay the dead members of a batch and of inner ones; it is reopened, and its end is reported again.

    \b
    Example:
      jobledger batches replay 0000ba7c --reason "file mended"
    """
    from jobs.operations.bulk.replay import ReplayAction
    from jobs.operations.runs.selector import SelectorInput

    app, operator = open_app(options), this_operator()
    act_on(app, out, ReplayAction(app=app, operator=operator), SelectorInput(batches=(batch,)), how)
