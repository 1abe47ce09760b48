"""`jobs status`: what is wrong now, on one screen."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta

import click

from admin_cli.app import open_app
from admin_cli.block import Block
from admin_cli.columns import Column
from admin_cli.options import Globals, pass_globals
from admin_cli.output import Output, record_options

QUEUES = (
    Column("queue", gives=1),
    Column("ready"),
    Column("oldest"),
    Column("scheduled"),
    Column("retrying"),
    Column("running"),
    Column("dead"),
    Column("is_paused", heading="PAUSED"),
)
WORKERS = (Column("name", gives=1), Column("busy"), Column("threads"), Column("queues", gives=2), Column("seen_at"))


@click.command("status")
@record_options()
@pass_globals
def status(options: Globals, out: Output) -> None:
    """Show what is wrong now, the queues and the live workers.

    \b
    Example:
      jobledger status
    """
    from jobs.operations.inspect import status as read_status

    app = open_app(options)
    now = read_status(app)
    queues = [
        {**asdict(one), "oldest": None if one.oldest_seconds is None else timedelta(seconds=round(one.oldest_seconds))}
        for one in now.queues
    ]
    workers = [asdict(one) for one in now.workers]
    blocks = [
        Block("wrong now", text="\n".join(now.problems) or "nothing"),
        Block("queues", columns=QUEUES, rows=queues),
        Block("workers", columns=WORKERS, rows=workers),
    ]
    out.record(blocks, data={"problems": now.problems, "queues": queues, "workers": workers})
    app.close()
