"""`jobs metrics serve`: the ledger's metrics, for Prometheus."""

from __future__ import annotations

import signal
import threading

import click

from admin_cli.program.app import open_app
from admin_cli.program.lazy import Entry, LazyGroup
from admin_cli.program.options import Globals, pass_globals
from admin_cli.terminal.streams import write_message

ENTRIES = {
    "serve": Entry("admin_cli.serve.metrics:serve", "Serve the ledger's metrics and health until stopped."),
    "names": Entry("admin_cli.serve.metrics:names", "List every metric, with its labels and meaning."),
}
DEFAULT_PORT = 9192


@click.group("metrics", cls=LazyGroup, entries=ENTRIES)
def metrics() -> None:
    """Serve the ledger's metrics for Prometheus."""


@click.command("serve")
@click.option("--host", metavar="HOST", help="Address to listen on (JOBS_METRICS_HOST): 127.0.0.1.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port (JOBS_LEDGER_METRICS_PORT): 9192; 0: any free port.")
@pass_globals
def serve(options: Globals, host: str | None, port: int | None) -> None:
    """Serve the ledger's metrics and health until stopped.

    \b
    Example:
      jobledger metrics serve --port 9192
    """
    app = open_app(options, metrics_host=host, ledger_metrics_port=port)
    from jobs.observe.gauges.ledger_metrics import serve_ledger

    chosen = app.settings.ledger_metrics_port
    endpoint = serve_ledger(app, host=app.settings.metrics_host, port=DEFAULT_PORT if chosen is None else chosen)
    stopping = threading.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda number, frame: stopping.set())
    write_message(f"serving {endpoint.url}/metrics, /healthz and /readyz")
    while not stopping.wait(3600):
        pass
    endpoint.close()


@click.command("names")
def names() -> None:
    """List every metric, with its labels and meaning.

    \b
    Example:
      jobledger metrics names
    """
    from admin_cli.terminal import streams
    from jobs.observe.catalogue import ALL

    for metric in ALL:
        streams.write(f"{metric.name}\t{metric.type}\t{','.join(metric.labels)}\t{metric.help}\n")
