"""`jobs scheduler`: makes the runs of schedules when they are due."""

from __future__ import annotations

import sys

import click

from admin_cli.program.app import open_app
from admin_cli.program.options import IMPORT, Globals, pass_globals


@click.command("scheduler")
@IMPORT
@click.option(
    "--metrics-port", type=click.IntRange(0, 65535), help="Serve metrics and health (JOBS_LEDGER_METRICS_PORT)."
)
@click.option("--once", is_flag=True, help="Fire the due slots once and exit: for a system cron.")
@pass_globals
def scheduler(options: Globals, imports: tuple[str, ...], metrics_port: int | None, once: bool) -> None:
    """Make the runs of schedules when they are due.

    Start as many schedulers as you like: one is the leader, the others are on standby. Each slot fires once.

    \b
    Example:
      jobledger scheduler --import shop.jobs
    """
    from scheduler.main import main

    app = open_app(options, imports=imports, ledger_metrics_port=metrics_port)
    code = main(app, once=once)
    app.close()
    sys.exit(code)
