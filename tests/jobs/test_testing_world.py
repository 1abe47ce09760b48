"""The fixture ``jobs_ledger`` makes a world of its own, and no test reaches the ledger of development. (K2.12)"""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import func, select

from jobs.database.engine import Database
from jobs.database.models import JobRun
from jobs.settings import Settings
from tests.fork_server import forked

BROKER = """
import dramatiq, pytest
from jobs.dramatiq import LedgerBroker

broker = LedgerBroker({url})
dramatiq.set_broker(broker)
broker.emit_after("process_boot")
done = []

@dramatiq.actor
def greet(name):
    done.append(name)
"""
WORKS = """
@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_with_a_worker(jobs_ledger, name):
    worker = dramatiq.Worker(broker, worker_timeout=50, worker_threads=2)
    worker.start()
    try:
        greet.send(name)
        broker.join(greet.queue_name, timeout=10_000)
    finally:
        worker.stop()
    assert done[-1] == name
    assert [run.state.value for run in jobs_ledger.runs()] == ["succeeded"]
"""


@pytest.fixture
def development(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A ledger that the environment names, in which a message waits."""
    monkeypatch.setenv("JOBS_DATABASE_URL", sqlite_url)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[2]))
    return sqlite_url


def run(pytester: pytest.Pytester, source: str) -> pytest.RunResult:
    pytester.makepyfile(source)
    # Ours alone, because other installed plugins import for seconds. tests/jobs/testing/test_ledger.py loads them all.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        told = ["-p", "jobs.pytest_plugin", "-p", "no:cacheprovider", f"--basetemp={pytester.path / 'temporary'}"]
        return pytester.run(*forked("tests.pytest_program"), *told, timeout=90)


def waiting(url: str) -> int:
    database = Database(url, Settings(database_url=url))
    with database.read() as connection:
        found = connection.scalar(select(func.count()).where(JobRun.state == "queued"))
    database.close()
    return found or 0


@pytest.mark.parametrize(
    "environment",
    [
        {"JOBS_REDIS_URL": "redis://redis:6379/0"},
        {"JOBS_DATABASE_URL_FILE": "/run/secrets/database_url"},
        {"JOBS_POOL_SIZE": "nonsense", "JOBS_LEASE": "-1s", "JOBS_MAX_ARGUMENT_BYTES": "1"},
        {"JOBS_DATABASE_SCHEMA": "work", "JOBS_PGBOUNCER": "1", "JOBS_SENTRY_DSN": "https://key@sentry.invalid/1"},
    ],
    ids=lambda given: "+".join(given),
)
def test_the_ledger_of_a_test_is_the_same_whatever_the_environment_says(
    development: str, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    result = run(
        pytester,
        """
        from jobs import Job

        class Greet(Job):
            name: str
            def perform(self): return f"hello {self.name}"

        def test_one(jobs_ledger):
            assert jobs_ledger.perform(Greet(name="you")).result() == "hello you"

        def test_another(jobs_ledger):
            jobs_ledger.assert_not_enqueued(Greet)
            assert jobs_ledger.app.ready is None
        """,
    )

    result.assert_outcomes(passed=2)
    assert waiting(development) == 0


@pytest.mark.parametrize("has_url", [False, True])
def test_a_dramatiq_worker_serves_the_ledger_of_each_test(
    development: str, pytester: pytest.Pytester, has_url: bool
) -> None:
    result = run(pytester, BROKER.format(url=repr(development) if has_url else "") + WORKS)

    result.assert_outcomes(passed=3)
    assert waiting(development) == 0


@pytest.mark.parametrize("has_url", [False, True])
def test_a_flush_in_a_test_never_reaches_the_ledger_of_development(
    development: str, pytester: pytest.Pytester, has_url: bool
) -> None:
    source = BROKER.format(url=repr(development) if has_url else "")
    source += """
def test_that_sends_and_flushes():
    greet.send("waits in development")
    for flush in (broker.flush_all, lambda: broker.flush(greet.queue_name)):
        with pytest.raises(Exception, match="jobs_ledger"):
            flush()

def test_with_a_ledger_of_its_own(jobs_ledger):
    greet.send("waits in the test")
    broker.flush_all()
    assert [run.state.value for run in jobs_ledger.runs()] == ["cancelled"]
"""

    result = run(pytester, source)

    result.assert_outcomes(passed=2)
    assert waiting(development) == 1


def test_a_ledger_that_a_test_names_in_code_may_be_flushed(
    development: str, pytester: pytest.Pytester, tmp_path: Path
) -> None:
    own = f"sqlite:///{tmp_path / 'own.db'}"
    source = BROKER.format(url=repr(own))
    source += f"""
def test_that_flushes():
    from jobs.migration import schema
    from jobs.database.engine import Database
    from jobs.settings import Settings
    schema.upgrade(Database({own!r}, Settings(database_url={own!r})))
    greet.send("waits")
    broker.flush_all()
"""

    run(pytester, source).assert_outcomes(passed=1)

    assert waiting(own) == 0
