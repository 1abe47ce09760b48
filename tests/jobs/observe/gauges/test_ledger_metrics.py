"""The ledger's metrics, over HTTP: right, cached, and never hanging."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import pytest
from sqlalchemy import select, text, update

from jobs import boot, enqueue_many
from jobs.app import App
from jobs.database.models import JobQueue, JobRun
from jobs.errors import ConfigurationError
from jobs.ledger import workers
from jobs.ledger.runs.claim import claim_due
from jobs.ledger.targets.set_targets import TargetRecord, write_target
from jobs.observe.catalogue import LEDGER
from jobs.observe.endpoint import Endpoint
from jobs.observe.gauges import ledger_metrics
from jobs.observe.gauges.ledger_metrics import serve_ledger
from tests.conftest import MakeApp
from tests.seen_app import Fine, Slowish
from tests.servers import NamedServer, PostgresServer
from tests.waiting import wait_until
from tests.worker_process import Series, get, parse, total


@contextmanager
def _serving(app: App) -> Iterator[Endpoint]:
    endpoint = serve_ledger(app, host="127.0.0.1", port=0)
    try:
        yield endpoint
    finally:
        endpoint.close()


def _scrape(app: App) -> Series:
    with _serving(app) as endpoint:
        return parse(get(f"{endpoint.url}/metrics")[1])


def test_queues_are_counted_by_state(app: App) -> None:
    enqueue_many([Fine(n=n) for n in range(5)])
    enqueue_many([Slowish() for _ in range(3)], delay=timedelta(hours=1))
    with app.database.write() as connection:
        workers.register(
            connection, "me", host="h", pid=1, version="1", queues=["default", "idle"], kinds=["Fine"], threads=8
        )
        workers.see(connection, "me", busy=3)
        claim_due(connection, "default", count=2, kinds=["Fine"], worker="me", lease=timedelta(seconds=30))

    series = _scrape(app)

    assert total(series, "jobs_ledger_up") == 1
    for state, number in {"ready": 3, "scheduled": 3, "retrying": 0, "running": 2, "dead": 0}.items():
        assert total(series, "jobs_queue_runs", queue="default", state=state) == number
    assert total(series, "jobs_queue_workers", queue="default") == 1
    assert total(series, "jobs_queue_workers", queue="idle") == 1
    assert (total(series, "jobs_worker_threads"), total(series, "jobs_worker_threads_busy")) == (8, 3)
    assert total(series, "jobs_queue_latency_target_seconds", queue="default") == 300
    assert total(series, "jobs_queue_oldest_age_seconds", queue="default", paused="false") > 0
    assert total(series, "jobs_leases_expired") == 0
    assert {name for name, _ in series} <= {metric.name for metric in LEDGER}


def test_dead_letters_expired_leases_and_targets_are_reported(app: App) -> None:  # K2.17
    enqueue_many([Fine(n=n) for n in range(4)])
    with app.database.write() as connection:
        claim_due(connection, "default", count=4, kinds=["Fine"], worker="me", lease=timedelta(seconds=30))
        connection.execute(update(JobRun).values(lease_until=app.clock.now() - timedelta(seconds=5)))
        connection.execute(JobQueue.__table__.insert().values(name="default", latency_target_seconds=7))  # type: ignore[attr-defined]

    series = _scrape(app)

    assert total(series, "jobs_leases_expired") == 4
    assert total(series, "jobs_queue_latency_target_seconds", queue="default") == 7


def test_error_budgets_and_late_kinds_are_reported(app: App) -> None:
    enqueue_many([Fine(n=n) for n in range(4)])
    moment = app.clock.now()
    with app.database.write() as connection:
        write_target(connection, "queue", "default", TargetRecord(success=0.9))
        write_target(connection, "kind", "Fine", TargetRecord(latency_seconds=30))
        first = select(JobRun.id).limit(1).scalar_subquery()
        connection.execute(
            update(JobRun)
            .where(JobRun.id == first)
            .values(state="dead", cause="gave_up", finished_at=moment, state_at=moment)
        )
        connection.execute(update(JobRun).where(JobRun.state == "queued").values(run_at=moment - timedelta(seconds=60)))

    series = _scrape(app)

    def of_queue(metric: str, **labels: str) -> float:
        wanted = {"what": "queue", "name": "default", **labels}.items()
        return sum(value for (name, given), value in series.items() if name == metric and wanted <= set(given))

    assert of_queue("jobs_target_success_ratio") == 0.9
    for window in ("5m", "30m", "1h", "6h", "3d", "28d"):
        assert of_queue("jobs_error_budget_burn", window=window) == pytest.approx(10)
        assert of_queue("jobs_target_runs", window=window, state="dead") == 1
    assert of_queue("jobs_error_budget_left_ratio") == pytest.approx(-9)
    assert total(series, "jobs_kind_latency_target_seconds", kind="Fine") == 30
    assert total(series, "jobs_kind_oldest_age_seconds", kind="Fine") >= 60
    assert {name for name, _ in series} <= {metric.name for metric in LEDGER}


def test_a_scrape_soon_after_another_does_not_query_the_ledger(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []
    read = ledger_metrics.read_gauges
    monkeypatch.setattr(ledger_metrics, "read_gauges", lambda connection: (reads.append(1), read(connection))[1])

    with _serving(app) as endpoint:
        for _ in range(5):
            assert "jobs_ledger_up 1.0" in get(f"{endpoint.url}/metrics")[1]

    assert len(reads) == 1


def test_a_ledger_that_hangs_is_reported_as_down_in_time(
    make_app: MakeApp, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(sqlite_url, metrics_timeout="0.3s")
    release = threading.Event()
    read = ledger_metrics.read_gauges
    started = []

    def hang(connection: object) -> object:
        started.append(1)
        release.wait(30)
        return read(connection)  # type: ignore[arg-type]

    monkeypatch.setattr(ledger_metrics, "read_gauges", hang)
    began = app.clock.monotonic()
    with _serving(app) as endpoint:
        pages = [get(f"{endpoint.url}/metrics")[1] for _ in range(3)]
        took = app.clock.monotonic() - began
        status, ready = get(f"{endpoint.url}/readyz")
        alive, _ = get(f"{endpoint.url}/healthz")
        release.set()

    assert all("jobs_ledger_up 0.0" in page and "jobs_queue_runs" not in page for page in pages)
    assert took < 25
    assert len(started) == 1  # However often it is asked, one read waits.
    assert (status, alive) == (503, 200)
    assert json.loads(ready)["problems"][0]["what"] == "database"


def test_a_database_that_is_gone_is_zero_and_back_is_one(
    pg_database: str, pg_server: PostgresServer | NamedServer, make_app: MakeApp
) -> None:
    app = make_app(pg_database, metrics_cache="0s", connect_timeout="2s")
    with _serving(app) as endpoint:
        assert "jobs_ledger_up 1.0" in get(f"{endpoint.url}/metrics")[1]
        pg_server.stop()
        try:
            assert "jobs_ledger_up 0.0" in get(f"{endpoint.url}/metrics")[1]
        finally:
            pg_server.start()

        assert wait_until(lambda: "jobs_ledger_up 1.0" in get(f"{endpoint.url}/metrics")[1], seconds=60)


def test_a_port_that_is_taken_is_an_error_of_one_line(app: App) -> None:
    with _serving(app) as endpoint:
        port = int(endpoint.url.rpartition(":")[2])

        with pytest.raises(ConfigurationError, match=f"Cannot serve metrics and health on 127.0.0.1:{port}"):
            serve_ledger(app, host="127.0.0.1", port=port)


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    yield
    monkeypatch.setattr(boot, "_app", None)


@pytest.mark.slow
def test_a_frozen_database_is_said_to_be_down_and_back_when_it_goes_on(
    pg_database: str, pg_server: PostgresServer | NamedServer, make_app: MakeApp
) -> None:
    app = make_app(pg_database, metrics_cache="0s", metrics_timeout="1s", connect_timeout="2s", statement_timeout="2s")
    with _serving(app) as endpoint:
        assert "jobs_ledger_up 1.0" in get(f"{endpoint.url}/metrics")[1]
        with _frozen(pg_server, app):
            began = app.clock.monotonic()
            pages = [get(f"{endpoint.url}{path}") for path in ("/metrics", "/readyz", "/healthz", "/metrics")]
            took = app.clock.monotonic() - began

        assert wait_until(lambda: "jobs_ledger_up 1.0" in get(f"{endpoint.url}/metrics")[1], seconds=60)

    assert [status for status, _ in pages] == [200, 503, 200, 200]
    assert all("jobs_ledger_up 0.0" in page for _, page in (pages[0], pages[3]))
    assert took < 60


@contextmanager
def _frozen(server: PostgresServer | NamedServer, app: App) -> Iterator[None]:
    """The server with the processes that serve its connections: frozen alone, it would leave those at work."""
    if isinstance(server, NamedServer):
        pytest.skip("needs a server that it may freeze: unset JOBS_TEST_DATABASE_URL")
    with app.database.read() as connection:
        serving = list(
            connection.scalars(text("select pid from pg_stat_activity where backend_type = 'client backend'"))
        )
    server.send(signal.SIGSTOP)
    try:
        for pid in serving:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in serving:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        server.send(signal.SIGCONT)
