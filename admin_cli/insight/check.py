"""`jobs check`: a health probe for containers and operators; exits 0 if healthy, 6 if not."""

from __future__ import annotations

import http.client
import json
from typing import Any

import click

from admin_cli.program.app import open_app, read_settings
from admin_cli.program.exits import CommandFailed, Exit
from admin_cli.program.names import command_line
from admin_cli.program.options import Globals, pass_globals
from admin_cli.terminal import streams
from jobs.app import App
from jobs.formats.escaping import one_line

SECONDS = 5.0
"""How long an endpoint may take. Source: decision; above its own time limit for the ledger."""


@click.command("check")
@click.option("--worker", "asks_worker", is_flag=True, help="The worker at JOBS_METRICS_PORT is alive.")
@click.option("--scheduler", "asks_scheduler", is_flag=True, help="The scheduler at JOBS_LEDGER_METRICS_PORT is alive.")
@click.option("--ready", is_flag=True, help="With these: also check its progress, database and index.")
@click.option("--database", "asks_database", is_flag=True, help="The ledger answers, with this release's tables.")
@pass_globals
def check(options: Globals, asks_worker: bool, asks_scheduler: bool, ready: bool, asks_database: bool) -> None:
    """Check the health: exit 0, 6 if unhealthy, 5 if a service is down.

    Without options it tests each part as a worker uses it: it records a run and rolls back, sends and receives a
    notification, writes and reads an entry of the ready index, compares the clocks, and reads the problems that live
    workers report. It warns of kinds whose runs died recently because of their arguments, of batches with a wrong
    count, of waits that are past their time, and of targets that are missed or whose error budget burns; these are
    not failures.

    \b
    Example:
      jobledger check --worker --ready
    """
    if ready and not (asks_worker or asks_scheduler):
        raise click.UsageError("--ready goes with --worker or --scheduler.")
    settings = read_settings(options)
    path = "/readyz" if ready else "/healthz"
    if asks_worker:
        _ask("worker", settings.metrics_host, settings.metrics_port, path, "JOBS_METRICS_PORT")
    if asks_scheduler:
        port = settings.ledger_metrics_port
        _ask("scheduler", settings.metrics_host, port, path, "JOBS_LEDGER_METRICS_PORT")
    if asks_database or not (asks_worker or asks_scheduler):
        from jobs.operations.insight.probe import probe

        app = open_app(options)
        try:
            if asks_database:
                streams.write_message(f"database: well ({app.database.shown})")
                _warn_of_misfits(app)
                return
            for part, says in probe(app):
                streams.write_message(f"{part}: {says}")
            _warn_of_misfits(app)
            _warn_of_workflows(app)
            _warn_of_targets(app)
            failing = _failing(app)
        finally:
            app.close()
        if failing:
            raise CommandFailed(f"workers: {'; '.join(failing)}", exit_code=Exit.UNHEALTHY)


def _failing(app: App) -> list[str]:
    """Live worker processes that report repeated failures."""
    from admin_cli.program.actor import this_operator
    from jobs.operations.control.workers import list_workers

    live = list_workers(app, this_operator())
    return [one_line(f"{one.name}: {one.problem}") for one in live if one.problem]


def _warn_of_misfits(app: App) -> None:
    """A warning, not a failure: the ledger is healthy, but an application's release has a fault."""
    from jobs.ledger.queries.misfit_kinds import kinds_that_misfit

    with app.database.read() as connection:
        found = kinds_that_misfit(connection)
    for kind, number in found.items():
        runs = "1 run" if number == 1 else f"{number:,} runs"
        streams.write_message(
            f"warning: {runs} of {kind} died since yesterday as bad_arguments: a field was renamed or changed without"
            f" version= and upcast. List them: jobledger dlq list --kind {kind} --cause bad_arguments"
        )


def _warn_of_workflows(app: App) -> None:
    """Warnings too: nothing mends them by itself, but all other runs go on."""
    from jobs.operations.insight.workflows import workflow_faults

    for fault in workflow_faults(app):
        streams.write_message(one_line(f"warning: {fault}"))


def _warn_of_targets(app: App) -> None:
    """Targets that are missed, or whose error budget burns. The ledger is healthy, the promise is in danger."""
    from admin_cli.program.actor import this_operator
    from jobs.operations.insight.alerts import alerts

    for one in alerts(app, this_operator()):
        if one.code in ("late", "burning"):
            streams.write_message(one_line(f"warning: {one.sentence} See: {command_line(one.command)}"))


def _ask(what: str, host: str, port: int | None, path: str, variable: str) -> None:
    if not port:
        raise click.UsageError(f"The {what} can be asked where it serves its health: set {variable}.")
    connection = http.client.HTTPConnection(_reachable(host), port, timeout=SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        status, body = answer.status, answer.read(65536)
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise CommandFailed(f"{what}: does not answer at {host}:{port}: {reason}.", exit_code=Exit.UNHEALTHY) from error
    finally:
        connection.close()
    if status != http.client.OK:
        raise CommandFailed(f"{what}: {_problems(body) or f'answers {status}'}.", exit_code=Exit.UNHEALTHY)
    streams.write_message(f"{what}: well")


def _reachable(host: str) -> str:
    """The address at which to probe an endpoint that listens on all interfaces."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104


def _problems(body: bytes) -> str:
    try:
        told: dict[str, Any] = json.loads(body)
        return "; ".join(one_line(f"{one['what']}: {one['why']}").rstrip(".") for one in told.get("problems", ()))
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
