"""`jobs show`: one run, whole."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from admin_cli.app import open_app
from admin_cli.block import Block
from admin_cli.columns import Column
from admin_cli.options import Globals, pass_globals
from admin_cli.output import Output, record_options

FIELDS = (
    "id", "kind", "queue", "state", "cause", "priority", "attempt", "charged", "max_attempts", "created_at", "run_at",
    "started_at", "finished_at", "expires_at", "worker", "lease_until", "key", "tags", "correlation_id", "parent_id",
    "root_id", "replayed_from", "enqueued_by", "cancel_requested_at", "cancel_reason", "fingerprint",
)  # fmt: skip
ATTEMPTS = (
    Column("attempt", heading="TRY"),
    Column("outcome"),
    Column("started_at", heading="STARTED"),
    Column("took"),
    Column("error", gives=1),
)


@click.command("show")
@click.argument("run_id", metavar="ID")
@record_options()
@pass_globals
def show(options: Globals, out: Output, run_id: str) -> None:
    """Show a run and its attempts.

    ID is whole, or its last eight characters.

    \b
    Example:
      jobledger show c9165be1
    """
    from jobs.operations.inspect import show_run

    app = open_app(options)
    run, attempts = show_run(app, run_id)
    rows = [
        {
            **asdict(one),
            "took": one.finished_at - one.started_at,
            "error": f"{one.error_type}: {one.error_message}" if one.error_type else None,
        }
        for one in attempts
    ]
    blocks = [
        Block(pairs=[(name, getattr(run, name)) for name in FIELDS if getattr(run, name) is not None]),
        Block("arguments", text=json.dumps(run.arguments, indent=2, ensure_ascii=False)),
        Block("result", text=None if run.result is None else json.dumps(run.result, indent=2, ensure_ascii=False)),
        Block("attempts", columns=ATTEMPTS, rows=rows),
        Block("last traceback", text=next((one.traceback for one in reversed(attempts) if one.traceback), None)),
    ]
    out.record(blocks, data={**asdict(run), "attempts": rows})
    app.close()
