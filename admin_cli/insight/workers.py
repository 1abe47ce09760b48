"""`jobs workers`: the processes that perform runs."""

from __future__ import annotations

from datetime import timedelta

import click

from admin_cli.insight.status import WORKER_COLUMNS
from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.options import DURATION, REASON, Globals, pass_globals
from admin_cli.program.prompt import confirm
from admin_cli.runs.run_columns import fields_of
from admin_cli.runs.selector_options import complete_workers
from admin_cli.terminal import streams
from admin_cli.terminal.output import Output, output_options, record_options
from admin_cli.terminal.record import Section
from jobs.formats.escaping import escape_controls


@click.group("workers")
def workers() -> None:
    """Worker processes: list, show and stop them.

    \b
    Example:
      jobledger workers list
    """


@workers.command("list")
@click.option("--within", type=DURATION, default="1m", show_default=True, help="With a heartbeat within this time.")
@output_options(WORKER_COLUMNS)
@pass_globals
def list_workers(options: Globals, out: Output, within: timedelta) -> None:
    """List live worker processes, the latest first.

    \b
    Example:
      jobledger workers list -o wide
    """
    from jobs.operations.control import workers

    found = workers.list_workers(open_app(options), this_operator(), within=within)
    out.rows(found, as_json=fields_of, empty="no worker is live")


@workers.command("show")
@click.argument("name", metavar="WORKER", shell_complete=complete_workers)
@record_options()
@pass_globals
def show_worker(options: Globals, out: Output, name: str) -> None:
    """Show a worker process.

    \b
    Example:
      jobledger workers show desk/4711/0
    """
    from jobs.operations.control import workers

    worker = workers.find_worker(open_app(options), this_operator(), name)
    fields = fields_of(worker)
    shown = {**fields, "queues": ", ".join(worker.queues), "kinds": ", ".join(worker.kinds)}
    out.record([Section(pairs=[(key.replace("_", " "), value) for key, value in shown.items()])], data=fields)


@workers.command("stop")
@click.argument("name", metavar="[WORKER]", required=False, shell_complete=complete_workers)
@click.option(
    "--rolling",
    is_flag=True,
    help="Replace the processes of its supervisor one by one; without WORKER, those of every supervisor.",
)
@REASON
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
@pass_globals
def stop_worker(options: Globals, name: str | None, rolling: bool, reason: str | None, yes: bool) -> None:
    """Stop a worker process after its current runs, and replace it.

    The process claims no more runs and ends; its supervisor starts another. With --rolling, the supervisor replaces
    each of its processes, one after another, by one with the current code, as on SIGHUP; WORKER is then a process or
    a supervisor (HOST/PID). Workers read the request at their next heartbeat, within 10s, on any machine.

    \b
    Examples:
      jobledger workers stop desk/4711/0 --reason "leaks memory"
      jobledger workers stop --rolling --yes
    """
    from jobs.operations.control import workers

    app, operator = open_app(options), this_operator()
    if rolling:
        whose = workers.supervised_by(app, operator, name)
        count = sum(map(len, whose.values()))
        confirm(count, "replace, one by one,", yes=yes, noun="worker process", plural="worker processes")
        told = workers.roll_workers(app, operator, list(whose), reason=reason)
        several = "process was" if told == 1 else "processes were"
        streams.write_message(
            escape_controls(f"{told} worker {several} told: {', '.join(whose)} will replace them one by one.")
        )
        return
    if name is None:
        raise click.UsageError("Name a WORKER, or add --rolling.")
    found = workers.find_worker(app, operator, name)
    confirm(1, "stop", yes=yes, noun=f"worker process, {found.name}")
    worker = workers.stop_worker(app, operator, found.name, reason=reason)
    streams.write_message(escape_controls(f"worker {worker.name} was asked to stop."))
