"""Metrics and probes of a real worker: the metrics agree with the ledger, with and without killed processes."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import func, select

from jobs import boot, enqueue_many
from jobs.app import App
from jobs.database.models import JobAttempt, JobRun
from jobs.observe.gauges.ledger_metrics import serve_ledger
from jobs.states import CHARGED, FINAL
from tests.conftest import MakeApp
from tests.seen_app import Fine, Flaky, Hopeless, Parent, Quitter, Slowish
from tests.waiting import wait_until
from tests.worker_process import Series, WorkerProcess, get, parse, total, worker

pytestmark = pytest.mark.slow

MAX_BATCH = 500

Counts = Counter[tuple[str, ...]]


@pytest.fixture
def many(app: App) -> App:
    """A ledger with runs of every outcome."""
    enqueue_many([Fine(n=n) for n in range(2000)])
    enqueue_many([Slowish() for _ in range(100)])
    enqueue_many([job for _ in range(40) for job in (Flaky(), Hopeless(), Quitter(), Parent())])
    return app


def test_without_kills_the_metrics_equal_the_ledger(many: App, tmp_path: Path) -> None:
    with worker(tmp_path, many.settings.database_url or "", JOBS_PROCESSES="2") as it:
        assert wait_until(lambda: not _live(many), seconds=60)
        assert wait_until(lambda: _deficit(it.series(), many) == Counter(), seconds=60)
        series = it.series()
    with many.database.read() as connection:
        attempts = connection.scalar(select(func.count()).select_from(JobAttempt))
        charged = [outcome.value for outcome in CHARGED]
        retries = connection.scalar(
            select(func.count()).where(JobAttempt.retry_at.is_not(None), JobAttempt.outcome.in_(charged))
        )

    assert total(series, "jobs_run_seconds_count") == attempts
    assert total(series, "jobs_wait_seconds_count") == attempts
    assert total(series, "jobs_settled_total") == attempts
    assert total(series, "jobs_retries_total") == retries
    assert total(series, "jobs_enqueued_total", kind="Fine") == 40
    assert 0 < total(series, "jobs_settle_commits_total") <= attempts
    assert not [name for name, labels in series if dict(labels).get("pid")]


def test_with_kills_the_metrics_are_never_above_the_ledger_nor_go_back(many: App, tmp_path: Path) -> None:
    kills = 0
    before: Series = {}
    url = many.settings.database_url or ""
    ledgers = serve_ledger(many, host="127.0.0.1", port=0)
    with closing(ledgers), worker(tmp_path, url, JOBS_PROCESSES="2", JOBS_POISON_AFTER="50") as it:
        while kills < 4:
            seen = total(before, "jobs_attempts_total")
            assert wait_until(lambda: it.ready_pids() != [], seconds=60)
            os.kill(it.ready_pids()[0], signal.SIGKILL)
            kills += 1
            enqueue_many([Fine(n=n) for n in range(300)] + [Slowish() for _ in range(20)])
            assert wait_until(lambda: total(it.series(), "jobs_attempts_total") > seen, seconds=60)  # noqa: B023
            before = _checked(it, before, many)
            assert total(parse(get(f"{ledgers.url}/metrics")[1]), "jobs_ledger_up") == 1
        assert wait_until(lambda: not _live(many), seconds=90)
        it_settled = lambda: sum(_deficit(it.series(), many).values()) <= kills * MAX_BATCH  # noqa: E731
        assert wait_until(it_settled, seconds=60)
        _checked(it, before, many)
        dead = Counter(
            {kind: n for (what, kind, state), n in _recorded(many).items() if (what, state) == ("run", "dead")}
        )
        gauges = lambda: parse(get(f"{ledgers.url}/metrics")[1])  # noqa: E731
        assert wait_until(lambda: total(gauges(), "jobs_queue_runs") == dead.total(), seconds=60)
        assert total(gauges(), "jobs_dead_letters") == dead.total()
        restarts = len([line for line in it.lines() if line["event"] == "Process died"])

        assert restarts >= kills
        # Those of the living; one may be about to be replaced.
        assert wait_until(lambda: len(list(Path(it.folder()).glob("counter_*-*.db"))) <= 2 + 1, seconds=60)


def test_probes_say_what_is_wrong_and_stay_alive_while_the_database_is_away(
    pg_database: str, pg_server: object, make_app: MakeApp, tmp_path: Path
) -> None:
    with worker(tmp_path, pg_database, JOBS_CONNECT_TIMEOUT="2s") as it:
        assert wait_until(lambda: it.get("/readyz")[0] == 200, seconds=60)

        pg_server.stop()  # type: ignore[attr-defined]
        try:
            assert wait_until(lambda: it.get("/readyz")[0] == 503, seconds=60)
            answer = it.get("/readyz")[1]
            assert '"what": "database"' in answer
            assert it.get("/healthz")[0] == 200
        finally:
            pg_server.start()  # type: ignore[attr-defined]

        assert wait_until(lambda: it.get("/readyz")[0] == 200, seconds=60)


def test_the_endpoint_listens_on_this_machine_only(sqlite_url: str, tmp_path: Path) -> None:
    with worker(tmp_path, sqlite_url) as it:
        assert it.url.startswith("http://127.0.0.1:")
        assert get(f"{it.url}/elsewhere")[0] == 404
        folder = Path(it.folder())
        assert folder.stat().st_mode & 0o777 == 0o700

    assert not folder.exists()


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    yield
    monkeypatch.setattr(boot, "_app", None)


def _checked(it: WorkerProcess, before: Series, app: App) -> Series:
    """A scrape; no series is below the last, and no counter above what the ledger says afterwards."""
    now = it.series()
    assert {key: (value, now.get(key)) for key, value in before.items() if now.get(key, -1.0) < value} == {}
    above = {key: number for key, number in _deficit(now, app).items() if number < 0}
    assert above == {}
    return now


def _deficit(series: Series, app: App) -> Counts:
    """By how much the metrics are below the ledger; a number below zero is too many. Zeros left out."""
    counted: Counts = Counter()
    for (name, labels), value in series.items():
        has = dict(labels)
        if name == "jobs_attempts_total":
            counted["attempt", has["kind"], has["outcome"]] += int(value)
        elif name == "jobs_runs_finished_total":
            counted["run", has["kind"], has["state"]] += int(value)
    recorded = _recorded(app)
    both = counted.keys() | recorded.keys()
    return Counter({key: recorded[key] - counted[key] for key in both if recorded[key] != counted[key]})


def _recorded(app: App) -> Counts:
    attempts = (
        select(JobRun.kind, JobAttempt.outcome, func.count())
        .join(JobAttempt, JobAttempt.run_id == JobRun.id)
        .group_by(JobRun.kind, JobAttempt.outcome)
    )
    runs = (
        select(JobRun.kind, JobRun.state, func.count())
        .where(JobRun.state.in_([state.value for state in FINAL]))
        .group_by(JobRun.kind, JobRun.state)
    )
    with app.database.read() as connection:
        found: Counts = Counter({("attempt", kind, what): n for kind, what, n in connection.execute(attempts)})
        found.update({("run", kind, what): n for kind, what, n in connection.execute(runs)})
    return found


def _live(app: App) -> int:
    with app.database.read() as connection:
        return (
            connection.scalar(select(func.count()).select_from(JobRun).where(JobRun.state.in_(["queued", "running"])))
            or 0
        )
