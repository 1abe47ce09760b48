"""examples/newsletter: written with dramatiq's public API alone, it does the same on every broker; on ours also when
workers are killed and Redis is wiped."""

from __future__ import annotations

import importlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import dramatiq
import pytest
import redis
from dramatiq.broker import global_broker, set_broker
from sqlalchemy import func, select

from jobs.app import App
from jobs.database.models import JobAttempt, JobGroup, JobRun
from jobs.definition import registry
from jobs.ledger import workers
from jobs.messages import actor_job
from tests.conftest import MakeApp
from tests.faults.load import selects_full
from tests.fork_server import jobledger
from tests.servers import RedisServer
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples" / "newsletter"
MODULES = ("brokers", "outbox", "newsletter")
READERS = 60
JOIN = 100_000

Load = Callable[[str], Any]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Load]:
    """Imports the application on the broker of that name; gives its modules ``newsletter`` and ``outbox``."""
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setenv("NEWSLETTER_OUTBOX", str(tmp_path / "outbox.db"))
    before, known = global_broker, set(registry.kinds())

    def make(broker: str) -> Any:
        monkeypatch.setenv("NEWSLETTER_BROKER", broker)
        newsletter = importlib.import_module("newsletter")
        newsletter.outbox.make()
        return newsletter

    yield make
    dramatiq.get_broker().close()
    set_broker(before)  # type: ignore[arg-type]
    for name in MODULES:
        sys.modules.pop(name, None)
    for kind in set(registry.kinds()) - known:
        registry.forget(kind)
        actor_job.brokers.pop(kind, None)


def check(newsletter: Any, *, readers: int = READERS, issues: int = 1, exact: bool = True) -> None:
    """Of each issue everybody is mailed to once, each batch told of once, who does not exist bounced."""
    outbox = newsletter.outbox
    everybody, every_issue = range(1, readers + 1), range(1, issues + 1)
    known = [one for one in everybody if not outbox.is_missing(one)]
    mailed = outbox.rows("select issue, reader from mailed order by issue, reader")
    assert mailed == [(issue, one) for issue in every_issue for one in known]
    assert set(outbox.rows("select distinct substr(text, 1, 12) from mailed")) == {("Dear reader ",)}
    firsts = [known[start] for start in range(0, len(known), newsletter.BATCH)]
    batches = outbox.rows("select issue, first from batches order by issue, first")
    assert batches == [(issue, one) for issue in every_issue for one in firsts]
    bounced = outbox.rows("select issue, reader, why from bounces order by issue, reader")
    missing = [one for one in everybody if outbox.is_missing(one)]
    assert bounced == [(issue, one, "NoSuchReader") for issue in every_issue for one in missing]
    if exact:
        assert outbox.rows("select max(times) from mailed") == [(1,)]
        assert outbox.rows("select max(times) from batches") == [(1,)]


def is_done(newsletter: Any, readers: int, issues: int = 1) -> bool:
    outbox = newsletter.outbox
    known = sum(not outbox.is_missing(one) for one in range(1, readers + 1))
    batches = -(-known // newsletter.BATCH)
    counts = [outbox.rows(f"select count(*) from {table}")[0][0] for table in ("mailed", "batches", "bounces")]
    return counts == [one * issues for one in (known, batches, readers - known)]


@pytest.mark.parametrize("name", ["stub", "redis", "ledger on sqlite", "ledger on postgresql and redis"])
def test_the_newsletter_does_the_same_on_every_broker(
    name: str, load: Load, request: pytest.FixtureRequest, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = name.split()[0]
    if kind == "redis":
        monkeypatch.setenv("NEWSLETTER_REDIS_URL", request.getfixturevalue("redis_url"))
    if name == "ledger on sqlite":
        monkeypatch.setattr("jobs.boot._app", make_app(request.getfixturevalue("sqlite_url")))
    if name == "ledger on postgresql and redis":
        url, redis_url = request.getfixturevalue("pg_database"), request.getfixturevalue("redis_url")
        monkeypatch.setattr("jobs.boot._app", make_app(url, redis_url=redis_url))
    newsletter = load(kind)
    newsletter.broker.emit_after("process_boot")
    worker = dramatiq.Worker(newsletter.broker, worker_timeout=50, worker_threads=4)
    worker.start()
    try:
        newsletter.send(1, READERS)

        assert wait_until(lambda: is_done(newsletter, READERS), seconds=60)
        check(newsletter)
    finally:
        worker.stop()
        newsletter.broker.close()


@pytest.fixture(params=["jobledger worker", "dramatiq"])
def command(request: pytest.FixtureRequest) -> list[str]:
    """What performs the application's messages: our command, or dramatiq's own."""
    if request.param == "dramatiq":
        return [sys.executable, "-m", "dramatiq", "newsletter", "--processes", "2", "--threads", "4"]
    return [*jobledger(), "worker", "--import", "newsletter", "--processes", "2", "--threads", "4"]


@contextmanager
def running(command: list[str], app: App, folder: Path) -> Iterator[None]:
    """The command, on the ledger of ``app``; started anew by whoever would, when it ends by itself."""
    settings = app.settings
    told = {"JOBS_DATABASE_URL": settings.database_url, "JOBS_REDIS_URL": settings.redis_url or ""}
    told |= {"JOBS_POISON_AFTER": "50", "JOBS_LEASE": "3", "PYTHONPATH": f"{ROOT}:{FOLDER}"}
    environment = {**os.environ, **{name: value for name, value in told.items() if value}}
    done = [False]
    with (folder / "worker.log").open("w") as log:

        def start() -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )

        process = [start()]

        def again() -> None:
            # dramatiq's command stops all when one of its processes dies: a supervisor starts it anew.
            if not done[0] and process[0].poll() is not None:
                process[0] = start()

        running.again = again  # type: ignore[attr-defined]
        try:
            yield
        finally:
            done[0] = True
            process[0].terminate()
            try:
                process[0].wait(40)
            except subprocess.TimeoutExpired:
                os.killpg(process[0].pid, signal.SIGKILL)
                process[0].wait()


def test_the_newsletter_runs_under_jobledger_and_under_dramatiqs_own_command(
    load: Load, command: list[str], app: App, tmp_path: Path
) -> None:
    newsletter = load("ledger")

    with running(command, app, tmp_path):
        newsletter.send(1, READERS)
        assert wait_until(lambda: is_done(newsletter, READERS), seconds=60), (tmp_path / "worker.log").read_text()

    check(newsletter)


@pytest.fixture
def on_redis(request: pytest.FixtureRequest, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> App:
    url, redis_url = request.getfixturevalue("pg_database"), request.getfixturevalue("redis_url")
    made = make_app(url, redis_url=redis_url)
    monkeypatch.setattr("jobs.boot._app", made)
    return made


@pytest.fixture
def count(request: pytest.FixtureRequest) -> int:
    """Readers: in ``make faults`` many."""
    return 1_000 if selects_full(request.config.option.markexpr) else 120


@pytest.mark.faults
@pytest.mark.slow
@pytest.mark.short
@pytest.mark.timeout(240)
def test_f1_it_survives_workers_that_are_killed(
    load: Load, command: list[str], on_redis: App, tmp_path: Path, count: int
) -> None:
    newsletter, chance = load("ledger"), random.Random(9)
    # dramatiq's command stops and starts again after each kill, which takes seconds.
    issues, kills, most = 1, 0, 8 if count > 120 or "dramatiq" not in command else 1

    def live() -> list[int]:
        running.again()  # type: ignore[attr-defined]
        with on_redis.database.read() as connection:
            return [one.pid for one in workers.live(connection)]

    def all_done() -> bool:
        return is_done(newsletter, count, issues)

    with running(command, on_redis, tmp_path):
        newsletter.send(issues, count)
        while kills < most:
            if wait_until(all_done, seconds=chance.uniform(0, 1.2)):
                # Whoever is that fast gets another issue, until there were all kills.
                issues += 1
                newsletter.send(issues, count)
                continue
            pids = wait_until(live, seconds=60)
            assert pids, missing(on_redis, newsletter, tmp_path)
            with suppress(ProcessLookupError):
                os.kill(chance.choice(pids), signal.SIGKILL)
                kills += 1
        assert until_done(newsletter, count, issues), missing(on_redis, newsletter, tmp_path)

    check_all(on_redis, newsletter, count, issues)


@pytest.mark.faults
@pytest.mark.slow
@pytest.mark.short
@pytest.mark.timeout(240)
def test_f2_it_survives_a_redis_that_is_wiped_and_killed(
    load: Load, on_redis: App, tmp_path: Path, redis_server: RedisServer, count: int
) -> None:
    newsletter = load("ledger")
    command = [*jobledger(), "worker", "--import", "newsletter", "--processes", "2", "--threads", "4"]
    with running(command, on_redis, tmp_path):
        for issue in range(3):
            newsletter.send(issue, count // 3)
            with redis.Redis.from_url(redis_server.url) as client:
                client.flushall()
        redis_server.stop(signal.SIGKILL)
        newsletter.send(3, count // 3)
        redis_server.start()
        done = [wait_until(lambda: left(on_redis) == 0, seconds=100)]
        assert done[0], (tmp_path / "worker.log").read_text()[-3000:]

    outbox = newsletter.outbox
    known = sum(not outbox.is_missing(one) for one in range(1, count // 3 + 1))
    assert outbox.rows("select issue, count(*) from mailed group by issue") == [(issue, known) for issue in range(4)]
    batches = -(-known // newsletter.BATCH)
    assert outbox.rows("select issue, count(*) from batches group by issue") == [(one, batches) for one in range(4)]
    assert enqueued(on_redis, "batch_mailed") == 4 * batches


def until_done(newsletter: Any, count: int, issues: int) -> bool:
    def look() -> bool:
        running.again()  # type: ignore[attr-defined]
        return is_done(newsletter, count, issues)

    return wait_until(look, seconds=60)


def missing(app: App, newsletter: Any, folder: Path) -> str:
    """What to look at when it was never done."""
    counts = {table: newsletter.outbox.rows(f"select count(*) from {table}")[0][0] for table in ("mailed", "batches")}
    with app.database.read() as connection:
        by_state = select(JobRun.kind, JobRun.state, JobRun.cause, func.count()).group_by(
            JobRun.kind, JobRun.state, JobRun.cause
        )
        states = [tuple(row) for row in connection.execute(by_state)]
        dead = select(JobRun.kind, JobRun.error_type, JobRun.error_message).where(JobRun.state == "dead").limit(5)
        groups = [tuple(row) for row in connection.execute(select(JobGroup.size, JobGroup.done))]
        why = [tuple(row) for row in connection.execute(dead)]
    return f"{counts} {states} {why} {groups}\n{(folder / 'worker.log').read_text()[-2000:]}"


def left(app: App) -> int:
    with app.database.read() as connection:
        live = select(func.count()).select_from(JobRun).where(JobRun.state.in_(["queued", "running"]))
        return int(connection.scalar(live) or 0)


def enqueued(app: App, kind: str) -> int:
    with app.database.read() as connection:
        return int(connection.scalar(select(func.count()).select_from(JobRun).where(JobRun.kind == kind)) or 0)


def check_all(app: App, newsletter: Any, count: int, issues: int) -> None:
    """What the outbox has, and that the ledger recorded each step and each callback once."""
    check(newsletter, readers=count, issues=issues, exact=False)
    outbox = newsletter.outbox
    missing = sum(outbox.is_missing(one) for one in range(1, count + 1))
    known = count - missing
    assert enqueued(app, "typeset") == known * issues
    assert enqueued(app, "mail") == count * issues
    assert enqueued(app, "batch_mailed") == -(-known // newsletter.BATCH) * issues
    assert enqueued(app, "bounced") == missing * issues
    with app.database.read() as connection:
        attempts = connection.scalar(select(func.count()).select_from(JobAttempt))
        assert attempts == connection.scalar(select(func.sum(JobRun.attempt)))
