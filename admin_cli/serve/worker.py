"""`jobs worker` and `jobs dev`: perform runs until stopped."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import click

from admin_cli.program.app import embedded, in_child, open_app, read_dotenv, read_settings
from admin_cli.program.names import program_name
from admin_cli.program.options import DURATION, IMPORT, Globals, pass_globals
from admin_cli.serve.local_pages import has_web, serve_pages
from admin_cli.serve.scheduler_process import run_scheduler
from admin_cli.terminal import streams
from admin_cli.terminal.streams import write_message
from jobs.interpreter import refuse_free_threading

NO_MODULE = click.UsageError("No module with jobs is given. Add --import my.module, or set JOBS_IMPORTS.")


@click.command("worker")
@IMPORT
@click.option(
    "-q",
    "--queue",
    "queues",
    multiple=True,
    help="A queue to serve, NAME or NAME:WEIGHT; default: the queues of the jobs.",
)
@click.option("--processes", type=click.IntRange(1, 256), help="Worker processes (JOBS_PROCESSES).")
@click.option("--threads", type=click.IntRange(1, 512), help="Threads in each process (JOBS_THREADS).")
@click.option("--max-runs", type=click.IntRange(1), help="Replace a process after this many runs (JOBS_MAX_RUNS).")
@click.option(
    "--max-memory", metavar="SIZE", help="Replace a process above this memory, such as 512M (JOBS_MAX_MEMORY)."
)
@click.option("--async-concurrency", type=click.IntRange(1, 10000), help="Coroutines (JOBS_ASYNC_CONCURRENCY).")
@click.option("--metrics-port", type=click.IntRange(0, 65535), help="Serve metrics and health (JOBS_METRICS_PORT).")
@click.option(
    "--shutdown", type=DURATION, metavar="DURATION", help="Time that runs have to finish on a stop (JOBS_SHUTDOWN)."
)
@pass_globals
def worker(
    options: Globals,
    imports: tuple[str, ...],
    queues: tuple[str, ...],
    processes: int | None,
    threads: int | None,
    max_runs: int | None,
    max_memory: str | None,
    async_concurrency: int | None,
    metrics_port: int | None,
    shutdown: timedelta | None,
) -> None:
    """Perform runs in worker processes, and restart those that die.

    Workers serve the queues strictly in the given order. With weights (--queue mail:3 --queue reports:1) they perform
    three runs of mail for each run of reports, while both queues have waiting runs.

    \b
    Example:
      jobledger worker --import shop.jobs --queue mail --processes 4
    """
    _serve(
        options,
        # The alarm of --timeout would not survive the exec of a new interpreter.
        may_exec=options.timeout is None,
        imports=imports,
        queues=queues,
        processes=processes,
        threads=threads,
        max_runs=max_runs,
        max_memory=max_memory,
        async_concurrency=async_concurrency,
        metrics_port=metrics_port,
        shutdown=shutdown,
    )


@click.command("dev")
@IMPORT
@click.option(
    "-q",
    "--queue",
    "queues",
    multiple=True,
    help="A queue to serve, NAME or NAME:WEIGHT; default: the queues of the jobs.",
)
@click.option("--threads", type=click.IntRange(1, 512), help="Threads (JOBS_THREADS).")
@click.option("--reload", is_flag=True, help="Restart when code below this folder changes.")
@click.option("--pages/--no-pages", default=True, help="Also serve the pages, on this machine only.")
@pass_globals
def dev(
    options: Globals, imports: tuple[str, ...], queues: tuple[str, ...], threads: int | None, reload: bool, pages: bool
) -> None:
    """Start a worker, a scheduler and the pages on a local ledger.

    The ledger is jobs.db in this folder; the command creates it if needed. It prints a link that signs you in to the
    pages once.

    It starts one worker process, a scheduler and the pages, and logs the start and end of every run.

    \b
    Example:
      jobledger dev --import shop.jobs
    """
    read_dotenv()
    options = embedded(options)
    code = in_child(lambda: _migrate(options), debug=options.debug)
    if code:
        sys.exit(code)
    watch = (os.getcwd(),) if reload else ()
    settings = read_settings(options, imports=imports)
    if not settings.imports:
        raise NO_MODULE
    with ExitStack() as stack:
        stack.enter_context(run_scheduler(lambda: _schedule(options, settings.imports), watch=watch))
        if pages and has_web():
            stack.enter_context(run_scheduler(lambda: serve_pages(options, settings.imports), watch=watch))
        _serve(options, watch=watch, imports=imports, queues=queues, threads=threads, log_starts=True)


def _serve(options: Globals, *, watch: tuple[str, ...] = (), may_exec: bool = False, **given: object) -> None:
    refuse_free_threading()
    settings = read_settings(options, **given)
    if not settings.imports:
        raise NO_MODULE
    # A child checks the ledger, because the supervisor must hold no connection.
    code = in_child(lambda: _check_services(options, given), debug=options.debug)
    if code:
        sys.exit(code)
    work: dict[str, Any] = {
        "imports": settings.imports,
        "settings_json": settings.model_dump_json(),
        "processes": settings.processes,
        "shutdown_seconds": settings.shutdown.total_seconds(),
        # The hard limit follows the soft one by this long.
        "shortest_limit_seconds": settings.hard_after.total_seconds(),
        "watch": watch,
        "metrics_host": settings.metrics_host,
        "metrics_port": settings.metrics_port,
        "debug": options.debug,
    }
    if may_exec:
        from worker.startup.launch import become

        log = {"log_level": settings.log_level, "log_format": settings.log_format}
        streams.flush()
        become("admin_cli.serve.supervisor", title=[program_name(), *sys.argv[1:]], log=log, work=work)
    from jobs.observe.log import configure_logging
    from worker.main import main

    configure_logging(settings)
    sys.exit(main(**work))


def _schedule(options: Globals, imports: tuple[str, ...]) -> int:
    """Run the scheduler of ``jobs dev``; returns the exit code."""
    from admin_cli.program.failure import report
    from scheduler.main import main

    try:
        return main(open_app(options, imports=imports))
    except BaseException as error:
        return report(error, debug=options.debug)


def _check_services(options: Globals, given: dict[str, Any]) -> None:
    """Check that the ledger answers, grants the needed rights and has enough connections for the processes. Warns if
    the ready index does not answer; workers perform runs without it too.
    """
    from jobs.definition.enqueue_options import queue_name
    from jobs.formats.queue_weights import read_served

    app = open_app(options, **given)
    for served in read_served(app.settings.queues):
        queue_name(served.queue)
    if app.database.dialect == "postgresql":
        from jobs.database.postgres.server import check_connections, check_rights

        with app.database.read() as connection:
            check_rights(connection, schema=app.database.schema)
            check_connections(connection, app.settings)
    if app.ready is not None:
        from jobs.errors import ServiceDown

        try:
            app.ready.is_intact()
        except ServiceDown as down:
            write_message(f"warning: {down} Until it answers, workers poll the ledger.")


def _migrate(options: Globals) -> None:
    from jobs.database.engine import Database
    from jobs.migration import schema

    settings = read_settings(options)
    schema.upgrade(Database(settings.database_url or "", settings))
