"""The ledger's metrics: read from the ledger on request, within a time limit, and cached briefly.

They are the same from every process, and right after any crash. ``jobs metrics serve`` and the scheduler serve them.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from jobs.app import App
from jobs.errors import JobsError
from jobs.forecast.queue_states import read_states
from jobs.ledger.operators.queue_values import queue_values
from jobs.ledger.queries.gauges import STATES, Gauges, read_gauges
from jobs.migration.schema import REVISION
from jobs.observe import catalogue
from jobs.observe.endpoint import Answer, Endpoint, Route, as_json
from jobs.observe.gauges.breaker_gauges import breaker_gauges
from jobs.observe.gauges.forecast_gauges import forecast_gauges
from jobs.observe.gauges.limit_gauges import limit_gauges
from jobs.observe.gauges.schedule_gauges import schedule_gauges
from jobs.observe.gauges.target_gauges import target_gauges

log = logging.getLogger("jobs.metrics")

MoreGauges = Callable[[], Iterable[catalogue.Sample]]
"""Further gauges of the ledger: metric, labels, value. It reads the ledger."""


class LedgerMetrics(Collector):
    """Reads the gauges on a thread of its own, so that a hanging ledger cannot block the caller.

    Only one read is under way at a time, however many callers there are.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._more: tuple[MoreGauges, ...] = (
            schedule_gauges(app), limit_gauges(app), breaker_gauges(app), target_gauges(app),
        )  # fmt: skip
        self._asking = threading.Lock()
        self._reading: threading.Thread | None = None
        self._kept: list[Metric] | None = None
        self._kept_at = float("-inf")
        self.problem = ""
        """Why the ledger is not up; empty if it is."""
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def page(self) -> bytes:
        """The metrics in Prometheus's text format."""
        return bytes(generate_latest(self._registry))

    def is_up(self) -> bool:
        """Whether the ledger answers within the time limit."""
        return self._fresh() is not None

    def collect(self) -> Iterable[Metric]:
        found = self._fresh()
        yield _family(catalogue.LEDGER_UP, [((), float(found is not None))])
        yield _family(catalogue.BUILD_INFO, [((_version(), REVISION), 1.0)])
        yield from found or ()

    def describe(self) -> Iterable[Metric]:
        return []  # So that registering does not read the ledger.

    def _fresh(self) -> list[Metric] | None:
        """The values read a moment ago, or now; None if the ledger does not answer in time."""
        settings, clock = self._app.settings, self._app.clock
        with self._asking:
            if clock.monotonic() - self._kept_at <= settings.metrics_cache.total_seconds():
                return self._kept
            if self._reading is None or not self._reading.is_alive():
                self._kept = None
                self._reading = threading.Thread(target=self._read, name="jobs-ledger-metrics", daemon=True)
                self._reading.start()
            self._reading.join(settings.metrics_timeout.total_seconds())
            if self._reading.is_alive():
                self.problem = "the ledger does not answer in time"
                return None
            return self._kept

    def _read(self) -> None:
        try:
            with self._app.database.read() as connection:
                gauges = read_gauges(connection)
                targets = queue_values(connection, "latency_target_seconds")
                states, _ = read_states(connection, gauges=gauges, more=gauges.queue_workers)
            settings = self._app.settings
            default = settings.latency_target.total_seconds()
            families = _families(gauges, targets, default_target=default)
            families += _more_families(
                forecast_gauges(states, targets, default_target=default, default_threads=settings.threads)
            )
            families += [family for more in self._more for family in _more_families(more())]
        except JobsError as error:
            self.problem = str(error)
        except Exception as error:
            log.exception("Ledger metrics could not be read")
            self.problem = type(error).__name__
        else:
            self.problem = ""
            self._kept, self._kept_at = families, self._app.clock.monotonic()


def serve_ledger(
    app: App,
    *,
    host: str,
    port: int,
    progress: Callable[[], list[str]] | None = None,
) -> Endpoint:
    """Serve the ledger's metrics, ``/healthz`` and ``/readyz``, for ``jobs metrics serve`` and the scheduler.

    Args:
        progress: what keeps this process from its work, in words; empty if it works.

    Raises:
        ConfigurationError: it cannot listen there.
    """
    metrics = LedgerMetrics(app)
    stuck = progress or list

    def healthz() -> Answer:
        return as_json({"alive": True}, is_good=True)

    def readyz() -> Answer:
        problems = [{"what": "progress", "why": why} for why in stuck()]
        if not metrics.is_up():
            problems.append({"what": "database", "why": metrics.problem})
        if app.ready is not None and (why := _index_problem(app)):
            problems.append({"what": "index", "why": why})
        return as_json({"ready": not problems, "problems": problems}, is_good=not problems)

    routes: dict[str, Route] = {"/metrics": lambda: Answer(metrics.page()), "/healthz": healthz, "/readyz": readyz}
    return Endpoint(host, port, routes)


def _index_problem(app: App) -> str:
    try:
        if app.ready is not None:
            app.ready.is_intact()
    except JobsError as error:
        return str(error)
    return ""


def _families(gauges: Gauges, targets: Mapping[str, int], *, default_target: float) -> list[Metric]:
    return [
        _family(
            catalogue.QUEUE_RUNS,
            [((one.queue, state), float(getattr(one, state))) for one in gauges.queues for state in STATES],
        ),
        _family(
            catalogue.OLDEST_AGE,
            [((one.queue, str(one.is_paused).lower()), one.oldest_seconds or 0.0) for one in gauges.queues],
        ),
        _family(
            catalogue.LATENCY_TARGET,
            [((one.queue,), float(targets.get(one.queue, default_target))) for one in gauges.queues],
        ),
        _family(catalogue.QUEUE_WORKERS, [((queue,), float(n)) for queue, n in gauges.queue_workers.items()]),
        _family(catalogue.DEAD_LETTERS, [((one.queue,), float(one.dead)) for one in gauges.queues]),
        _family(catalogue.QUEUES_LEFT_OUT, [((), float(gauges.queues_left_out))]),
        _family(
            catalogue.RUNS_LEFT_OUT,
            [((state,), float(getattr(gauges.left_out, state) if gauges.left_out else 0)) for state in STATES],
        ),
        _family(catalogue.LEASES_EXPIRED, [((), float(gauges.leases_expired))]),
        _family(catalogue.WORKERS_FAILING, [((), float(len(gauges.failing)))]),
        _family(catalogue.THREADS, [((), float(gauges.threads))]),
        _family(catalogue.THREADS_BUSY, [((), float(gauges.busy))]),
    ]


def _more_families(found: Iterable[catalogue.Sample]) -> list[Metric]:
    by_metric: dict[catalogue.Metric, list[tuple[Sequence[str], float]]] = {}
    for metric, labels, value in found:
        by_metric.setdefault(metric, []).append((labels, value))
    return [_family(metric, samples) for metric, samples in by_metric.items()]


def _family(metric: catalogue.Metric, samples: Iterable[tuple[Sequence[str], float]]) -> Metric:
    family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, value in samples:
        family.add_metric(list(labels), value)
    return family


def _version() -> str:
    try:
        return version("jobledger")
    except PackageNotFoundError:
        return "source"
