"""What the probes of a web application answer: whether the ledger can be used, and its metrics."""

from __future__ import annotations

from collections.abc import Callable

from jobs import boot
from jobs.app import App
from jobs.errors import JobsError
from jobs.migration import schema
from jobs.observe.endpoint import METRICS_TYPE
from jobs.observe.gauges.ledger_metrics import LedgerMetrics
from jobs.web.worker_process import WorkerProcess


class Probes:
    """The probes of one application; ``worker`` gives the worker that it runs, if any."""

    def __init__(self, worker: Callable[[], WorkerProcess | None]) -> None:
        self._worker = worker
        self._metrics: tuple[App, LedgerMetrics] | None = None

    def problem(self) -> str | None:
        """Why the application cannot enqueue, or its worker cannot perform; None if all is well."""
        try:
            app = boot.current()
            schema.check(app.database)
            app.database.refuse_read_only()
        except JobsError as error:
            return error.message
        worker = self._worker()
        if worker is not None and not worker.is_alive():
            return "The worker process has ended."
        return None

    def metrics(self) -> tuple[bytes, str]:
        """The metrics of the ledger in the Prometheus text format, and their content type."""
        app = boot.current()
        if self._metrics is None or self._metrics[0] is not app:
            self._metrics = app, LedgerMetrics(app)
        return self._metrics[1].page(), METRICS_TYPE
