"""`jobs scheduler`: make runs of what is due."""

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
@click.option("--once", is_flag=True, help="Fire what is due now and end: for a machine's own cron.")
@pass_globals
def scheduler(options: Globals, imports: tuple[str, ...], metrics_port: int | None, once: bool) -> None:
    """Make runs of what schedules say is due.

    Start as many as you like: one leads, the others stand by, and each slot fires once.

    \b
    Example:
      jobledger scheduler --import shop.jobs
    """
    from scheduler.main import main

    app = open_app(options, imports=imports, ledger_metrics_port=metrics_port)
    code = main(app, once=once)
    app.close()
    sys.exit(code)
