"""dramatiq's traps, each on a real process's threads: nothing is lost, doubled, hoarded or held up."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import dramatiq
import pytest
from dramatiq.middleware import SkipMessage
from sqlalchemy import update

import jobs
from jobs import boot
from jobs.app import App
from jobs.database.models import JobAttempt, JobRun
from jobs.events import AttemptEnded, BatchSettled, ServiceFailed
from jobs.ledger.queries import find, reports
from jobs.ledger.records import Failure
from jobs.ledger.runs.claim import claim_due
from jobs.ready.redis import RedisReadyIndex
from jobs.states import Outcome, RunState
from tests.waiting import wait_until
from worker.exchange.delivery import Delivery
from worker.exchange.fetcher import Fetcher
from worker.process import process as process_module
from worker.process.process import Process
from worker.protocol.running_table import RunningRows, RunningTable

SOON = 60.0
"""The limit of every wait here, in seconds."""


class Stage:
    """The records of the jobs of these tests, and the events that they wait for."""

    def __init__(self) -> None:
        self.began: list[Any] = []
        self.gate = threading.Event()

    def clear(self) -> None:
        self.__init__()  # type: ignore[misc]


STAGE = Stage()


class Note(jobs.Job, kind="traps.Note"):
    """Notes that it was performed."""

    n: int = 0

    def perform(self) -> int:
        STAGE.began.append(self.n)
        return self.n


class Hold(jobs.Job, kind="traps.Hold"):
    """Performs until the gate opens."""

    n: int = 0

    def perform(self) -> None:
        STAGE.began.append(self.n)
        assert STAGE.gate.wait(100)


class Light(jobs.Job, kind="traps.Light"):
    """An async job: every worker here looks for its runs besides those for its threads."""

    async def perform(self) -> None:
        STAGE.began.append("light")


class Slow(jobs.Job, kind="traps.Slow"):
    n: int = 0

    def perform(self) -> None:
        time.sleep(0.15)
        STAGE.began.append(self.n)


StartProcess = Callable[..., Process]


@pytest.fixture
def start(app: App) -> Iterator[StartProcess]:
    """Starts worker processes' threads in this process: ``start(name="w1", queues=[…])``."""
    STAGE.clear()
    started: list[Process] = []

    def begin(
        name: str = "w1",
        *,
        on: App | None = None,
        before: Callable[[Process], None] | None = None,
        queues: Sequence[str] = ("default",),
    ) -> Process:
        process = Process(on or app, name, _running_rows(), queues=queues)
        if before is not None:
            before(process)
        started.append(process)
        process.start()
        return process

    yield begin
    STAGE.gate.set()
    for process in started:
        process.stop(5)


def _running_rows() -> RunningRows:
    return RunningRows(RunningTable(1).fd, 0)


@pytest.fixture
def heard(app: App) -> dict[type, list[Any]]:
    events: dict[type, list[Any]] = {kind: [] for kind in (AttemptEnded, BatchSettled, ServiceFailed)}
    for kind, sink in events.items():
        app.events.subscribe(kind, sink.extend)
    return events


def counts(app: App) -> dict[RunState, int]:
    with app.database.read() as connection:
        return reports.count_by_state(connection)


def all_succeeded(app: App, number: int) -> bool:
    return wait_until(lambda: counts(app) == {RunState.SUCCEEDED: number}, seconds=SOON)


def names_of(threads: set[threading.Thread]) -> set[str]:
    return {one.name for one in threads}


def attempts(app: App, run_id: Any) -> list[Any]:
    with app.database.read() as connection:
        return find.list_attempts(connection, run_id)


def test_a_message_that_a_middleware_skips_is_released_uncharged(app, start):
    skipped: list[str] = []

    class SkipOnce(dramatiq.Middleware):
        def before_process_message(self, broker: Any, message: Any) -> None:
            if message.message_id not in skipped:
                skipped.append(message.message_id)
                raise SkipMessage

    run_id = Note(n=1).enqueue().id
    start(before=lambda process: process._broker.add_middleware(SkipOnce()))

    assert all_succeeded(app, 1)
    run = jobs.find(run_id)
    assert skipped == [str(run_id)]
    assert STAGE.began == [1]
    assert (run.attempt, run.charged) == (1, 0)
    assert [one.outcome for one in attempts(app, run_id)] == [Outcome.SUCCEEDED]


def test_a_stop_claims_nothing_more_and_finishes_what_is_performed(app, start):
    process = start()
    Hold(n=0).enqueue()
    assert wait_until(lambda: STAGE.began == [0], seconds=SOON)

    stopping = threading.Thread(target=process.stop, args=(20,))
    stopping.start()
    assert wait_until(process.stopping.is_set, seconds=SOON)
    jobs.enqueue_many([Note(n=n) for n in range(1, 50)])
    assert not wait_until(lambda: len(STAGE.began) > 1, seconds=0.7)
    STAGE.gate.set()
    stopping.join(SOON)

    assert not stopping.is_alive()
    assert STAGE.began == [0]
    assert counts(app) == {RunState.SUCCEEDED: 1, RunState.QUEUED: 49}
    with app.database.read() as connection:
        assert {one.attempt for one in find.list_runs(connection, states=[RunState.QUEUED])} == {0}


def test_a_claim_that_outlives_the_stop_is_given_back(app, start, monkeypatch):
    monkeypatch.setattr(process_module, "CLAIM_SECONDS", 0.2)
    process = start()
    claiming, slow = threading.Event(), process._fetcher._source.claim

    def claim(count, **how):
        found = slow(count, **how)
        if found and STAGE.began:
            claiming.set()
            process.stopping.wait(SOON)
            time.sleep(0.4)  # Longer than the stop waits at first.
        return found

    monkeypatch.setattr(process._fetcher._source, "claim", claim)
    # The call that went on before claims it.
    Hold(n=0).enqueue()
    assert wait_until(lambda: STAGE.began == [0], seconds=SOON)
    stopping = threading.Thread(target=process.stop, args=(20,))
    jobs.enqueue_many([Note(n=n) for n in range(1, 4)])
    assert claiming.wait(SOON)
    stopping.start()
    assert wait_until(lambda: not process._fetcher.is_alive(), seconds=SOON)
    STAGE.gate.set()
    stopping.join(SOON)

    assert STAGE.began == [0]
    assert counts(app) == {RunState.SUCCEEDED: 1, RunState.QUEUED: 3}


def test_a_stopped_process_leaves_no_thread_behind(app, start):
    before = set(threading.enumerate())
    process = start()
    jobs.enqueue_many([Note(n=n) for n in range(20)])
    assert all_succeeded(app, 20)

    process.stop(60)

    assert wait_until(lambda: not names_of(set(threading.enumerate()) - before), seconds=SOON)


def test_a_stop_leaves_behind_only_the_thread_that_hangs(app, start):
    before = set(threading.enumerate())
    process = start()
    Hold(n=0).enqueue()
    assert wait_until(lambda: STAGE.began == [0], seconds=SOON)

    process.stop(0)

    # One that has done its work may still be there for a moment.
    assert wait_until(lambda: len(set(threading.enumerate()) - before) == 1, seconds=SOON)
    assert not wait_until(lambda: len(set(threading.enumerate()) - before) == 0, seconds=0.2)


def test_a_middleware_hears_of_the_stop(app, start):
    heard: list[str] = []

    class Hears(dramatiq.Middleware):
        def after_worker_shutdown(self, broker: Any, worker: Any) -> None:
            heard.append("after_worker_shutdown")

    process = start(before=lambda process: process._broker.add_middleware(Hears()))

    process.stop(5)

    assert heard == ["after_worker_shutdown"]


def test_runs_performed_after_the_shutdown_limit_are_released_uncharged(app, start):
    process = start()
    run_id = Hold().enqueue().id
    assert wait_until(lambda: STAGE.began == [0], seconds=SOON)

    process.stop(0.2)

    run = jobs.find(run_id)
    assert (run.state, run.charged, run.attempt) == (RunState.QUEUED, 0, 1)
    assert [one.outcome for one in attempts(app, run_id)] == [Outcome.RELEASED]


def test_a_consumer_that_dramatiq_restarts_drops_nothing(app, start, monkeypatch):
    broken = threading.Event()
    wait_for_end = Fetcher.wait_for_end

    def break_once(fetcher: Fetcher, seconds: float) -> None:
        # While a run is performed whose thread dramatiq would have given back to this consumer.
        if not broken.is_set() and wait_until(lambda: bool(STAGE.began), seconds=SOON):
            broken.set()
            raise dramatiq.errors.ConnectionFailed("the consumer breaks")
        wait_for_end(fetcher, seconds)

    monkeypatch.setattr(Fetcher, "wait_for_end", break_once)
    start()
    jobs.enqueue_many([Note(n=n) for n in range(100)])

    assert all_succeeded(app, 100)
    assert wait_until(broken.is_set, seconds=SOON)
    assert sorted(STAGE.began) == list(range(100))


def test_fifty_queues_make_one_fetch_thread(app, start):
    queues = [f"queue{n}" for n in range(50)]
    before = set(threading.enumerate())
    start(queues=queues)
    for n, queue in enumerate(queues):
        Note(n=n).enqueue(queue=queue)

    assert all_succeeded(app, 50)
    assert sorted(STAGE.began) == list(range(50))
    assert [one.name for one in set(threading.enumerate()) - before].count("jobs-fetcher") == 1


def test_a_runs_own_priority_is_honoured(make_app, ledger_url, app, start):
    single = make_app(ledger_url, threads=1)
    order = [5, -5, 0, 900, -900, 3]
    for priority in order:
        Note(n=priority).enqueue(priority=priority)
    start(on=single)

    assert all_succeeded(app, len(order))
    assert STAGE.began == sorted(order)


def test_an_urgent_run_overtakes_those_that_wait(make_app, ledger_url, app, start):
    single = make_app(ledger_url, threads=1)
    Hold(n=0).enqueue(priority=-1000)
    for n in range(1, 31):
        Note(n=n).enqueue()
    start(on=single)
    assert wait_until(lambda: STAGE.began == [0], seconds=SOON)
    Note(n=999).enqueue(priority=-1000)
    # Runs that were handed over before may go first: two for the thread.
    assert wait_until(lambda: counts(app).get(RunState.QUEUED, 0) >= 29, seconds=SOON)
    STAGE.gate.set()

    assert all_succeeded(app, 32)
    assert STAGE.began.index(999) <= 3


def test_group_commits_happen_on_the_settlers_thread_alone(app, start, heard):
    threads = set()
    app.events.subscribe(BatchSettled, lambda events: threads.add(threading.current_thread().name))
    start()
    jobs.enqueue_many([Note(n=n) for n in range(300)])

    assert all_succeeded(app, 300)
    assert threads == {"jobs-settler"}
    assert wait_until(lambda: sum(one.runs for one in heard[BatchSettled]) == 300, seconds=SOON)
    assert len([one for one in heard[BatchSettled] if one.runs]) < 150, "many endings are one commit"


def test_long_jobs_are_not_hoarded(make_app, ledger_url, app, start):
    """While one process performs long jobs, an idle one gets the rest."""
    small = make_app(ledger_url, threads=2)
    start("busy", on=small)
    for n in range(20):
        Hold(n=n).enqueue()
    assert wait_until(lambda: len(STAGE.began) == 2, seconds=SOON)
    start("idle", on=make_app(ledger_url, threads=18))

    assert wait_until(lambda: len(STAGE.began) == 20, seconds=SOON)


def test_nothing_is_waited_for_while_runs_wait(app, start):
    """That there is nothing for the coroutines keeps no thread idle."""
    jobs.enqueue_many([Note(n=n) for n in range(1500)])
    asks: list[tuple[float, int]] = []

    def listen(process: Process) -> None:
        claim = process._source.claim

        def heard(count: int, *, wait_seconds: float, **kinds: Any) -> Any:
            claims = claim(count, wait_seconds=wait_seconds, **kinds)
            asks.append((wait_seconds, len(claims)))
            return claims

        process._source.claim = heard

    start(before=listen)

    assert all_succeeded(app, 1500)
    last = max(place for place, (_, found) in enumerate(asks) if found)
    assert [wait for wait, found in asks[:last] if not found and wait] == []


@pytest.fixture
def fleet(app, ledger_url, redis_url, make_app, monkeypatch) -> App:
    made = make_app(ledger_url, redis_url=redis_url, threads=2)
    monkeypatch.setattr(boot, "_app", made)
    made.ready.mark_intact()
    return made


@pytest.mark.parametrize("ledger_url", ["postgresql"], indirect=True)
def test_runs_without_a_free_thread_stay_in_the_ready_index(fleet, redis_url, start):
    """It looks for coroutines meanwhile, and takes nothing else away for a moment."""
    jobs.enqueue_many([Hold(n=n) for n in range(10)])
    claimed: list[Any] = []

    def listen(process: Process) -> None:
        claim = process._source.claim

        def heard(*given: Any, **how: Any) -> Any:
            claims = claim(*given, **how)
            claimed.extend(one.run_id for one in claims)
            return claims

        process._source.claim = heard

    start(on=fleet, before=listen)
    assert wait_until(lambda: len(STAGE.began) == 2, seconds=SOON)
    urgent = Note(n=999).enqueue(priority=-10).id
    assert wait_until(lambda: counts(fleet).get(RunState.RUNNING) == 2, seconds=SOON)

    other = RedisReadyIndex(redis_url, ledger=fleet.database.ledger_identity)

    def waiting() -> list[Any]:
        return [run_id for run_id, _ in other.peek(["default"], 20, skip=0).runs]

    # One that went back is in the index again a moment after the ledger has it.
    assert wait_until(lambda: len(waiting()) == 9, seconds=SOON)
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        assert len(waiting()) == 9
        assert waiting()[0] == urgent
    other.close()
    Light().enqueue()
    assert wait_until(lambda: "light" in STAGE.began, seconds=SOON), "a coroutine waits for no thread"
    STAGE.gate.set()
    assert all_succeeded(fleet, 12)
    # In the order of the claims: a thread that has its run may begin it late.
    assert claimed.index(urgent) <= 4


def test_a_claim_that_no_thread_has_started_is_given_back_soon(make_app, ledger_url, app, start):
    for n in range(30):
        Note(n=n).enqueue()
    single = make_app(ledger_url, threads=1)

    def expect_short_runs(process: Process) -> None:
        # Many are claimed ahead.
        process._settler._prefetch_limit.record({("default", "traps.Note"): [0.001] * 64})

    Hold(n=-1).enqueue(priority=-1000)
    start(on=single, before=expect_short_runs)
    assert wait_until(lambda: STAGE.began == [-1], seconds=SOON)

    def held() -> int:
        return counts(app).get(RunState.RUNNING, 0)

    assert wait_until(lambda: held() == 31, seconds=SOON)
    # Well before their lease of 30 s ends.
    assert wait_until(lambda: held() == 1, seconds=20), "all but what is performed go back"
    assert not wait_until(lambda: held() > 1, seconds=1), "and are not claimed again until a thread is free"
    with app.database.read() as connection:
        assert {one.attempt for one in find.list_runs(connection, states=[RunState.QUEUED])} == {0}
    STAGE.gate.set()
    assert all_succeeded(app, 31)
    assert sorted(STAGE.began) == list(range(-1, 30))


def test_a_result_that_the_ledger_refuses_is_recorded_without_its_error_text(app, start):
    process = start()
    bad = Hold(n=0).enqueue().id
    assert wait_until(lambda: STAGE.began == [0], seconds=SOON)
    settle = process._settler._settle

    def refuse(batch: list[Delivery]) -> None:
        for one in batch:
            if one.claim.run_id == bad and one.attempt_result is not None and one.attempt_result.failure is None:
                one.attempt_result.outcome = Outcome.FAILED
                one.attempt_result.failure = Failure("E" * 300, "too long for its column", None, "f" * 40)
        settle(batch)

    process._settler._settle = refuse
    jobs.enqueue_many([Note(n=n) for n in range(1, 40)])
    STAGE.gate.set()

    assert wait_until(lambda: counts(app).get(RunState.SUCCEEDED, 0) == 39, seconds=SOON)
    assert wait_until(lambda: jobs.find(bad).state is not RunState.RUNNING, seconds=SOON)
    assert not process.failed.is_set()
    assert jobs.find(bad).error_type is not None


def test_a_foreign_row_with_an_attempts_number_delays_no_other_run(app, start):
    """The row of its attempt is there already: the attempt takes the next number, and everything else is settled."""
    process = start()
    bad = Hold(n=0).enqueue().id
    assert wait_until(lambda: STAGE.began == [0], seconds=SOON)
    row = {"run_id": bad, "attempt": 1, "token": bad, "outcome": "failed"}
    with app.database.write() as connection:
        moments = {"started_at": app.clock.now(), "finished_at": app.clock.now()}
        connection.execute(JobAttempt.__table__.insert().values(**row, **moments))
    jobs.enqueue_many([Note(n=n) for n in range(1, 40)])
    STAGE.gate.set()

    assert wait_until(lambda: counts(app).get(RunState.SUCCEEDED, 0) == 40, seconds=SOON)
    assert wait_until(lambda: len(process._held_leases) == 0, seconds=SOON)
    assert [one.attempt for one in jobs.attempts(bad)] == [1, 2]
    assert not process.failed.is_set()


def test_a_run_whose_lease_was_lost_is_refused_and_performed_by_its_next_holder(app, start, heard):
    start("slow")
    run_id = Hold().enqueue().id
    assert wait_until(lambda: STAGE.began == [0], seconds=SOON)
    with app.database.write() as connection:
        lost = {"state": "queued", "token": None, "lease_until": None}
        connection.execute(update(JobRun).where(JobRun.id == run_id).values(**lost))
        (heir,) = claim_due(
            connection, "default", count=1, kinds=["traps.Hold"], worker="heir", lease=timedelta(seconds=60)
        )
    STAGE.gate.set()

    assert not wait_until(lambda: jobs.find(run_id).state is not RunState.RUNNING, seconds=0.5)
    assert (jobs.find(run_id).worker, heir.attempt) == ("heir", 2)


class TestAnEffect:
    """Applied once: what a job writes in its run's transaction is there exactly when its run succeeded."""

    @pytest.fixture(autouse=True)
    def _table(self, app: App) -> None:
        from sqlalchemy import Column, Integer, MetaData, Table

        type(self).table = Table("effects", MetaData(), Column("n", Integer))
        with app.database.write() as connection:
            type(self).table.create(connection)

    def effects(self, app: App) -> list[int]:
        from sqlalchemy import select

        with app.database.read() as connection:
            return list(connection.scalars(select(type(self).table.c.n)))

    def test_a_transaction_of_a_job_commits_with_its_success(self, app, start):
        run_id = Effect(n=7).enqueue().id
        start()

        assert all_succeeded(app, 1)
        assert self.effects(app) == [7]
        assert jobs.find(run_id).result == "kept"
        assert [one.outcome for one in attempts(app, run_id)] == [Outcome.SUCCEEDED]

    def test_an_error_after_the_block_rolls_the_transaction_back(self, app, start):
        run_id = Effect(n=7, fails=True).enqueue().id
        start()

        assert wait_until(lambda: jobs.find(run_id).state is RunState.DEAD, seconds=SOON)
        assert self.effects(app) == []

    def test_a_cancelled_run_commits_no_transaction(self, app, start):
        run_id = Effect(n=7, cancels=True).enqueue().id
        start()

        assert wait_until(lambda: jobs.find(run_id).state is RunState.CANCELLED, seconds=SOON)
        assert self.effects(app) == []


class Effect(jobs.Job, kind="traps.Effect", retry=jobs.Retry(max_attempts=1)):
    n: int
    fails: bool = False
    cancels: bool = False

    def perform(self) -> str:
        if self.cancels:
            jobs.cancel(self.run.id)
        with self.run.transaction() as session:
            session.execute(TestAnEffect.table.insert().values(n=self.n))
        if self.fails:
            raise ValueError("after the block")
        return "kept"


class TestTheLedgerIsAway:
    @pytest.mark.slow
    def test_results_during_an_outage_are_settled_when_the_ledger_is_back(
        self, pg_server, pg_database, make_app, monkeypatch, request
    ):
        from jobs import boot

        app = make_app(pg_database, threads=4)
        monkeypatch.setattr(boot, "_app", app)
        STAGE.clear()
        process = Process(app, "w1", _running_rows(), queues=["default"])
        process.start()
        try:
            jobs.enqueue_many([Hold(n=n) for n in range(4)])
            assert wait_until(lambda: len(STAGE.began) == 4, seconds=SOON)
            pg_server.stop()
            STAGE.gate.set()
            assert wait_until(lambda: process._fetcher.buffer.busy == 0, seconds=SOON)
            pg_server.start()

            assert wait_until(lambda: counts(app) == {RunState.SUCCEEDED: 4}, seconds=60)
            with app.database.read() as connection:
                assert {one.attempt for one in find.list_runs(connection)} == {1}
            assert not process.failed.is_set()
        finally:
            STAGE.gate.set()
            pg_server.start()
            process.stop(5)


@pytest.mark.parametrize("absent", ["sqlalchemy", "dramatiq", "redis", "psycopg", "click", "sentry_sdk", "alembic"])
def test_importing_jobs_loads_no(absent):
    code = f"import sys, jobs; sys.exit({absent!r} in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_importing_jobs_opens_nothing_and_starts_no_thread(tmp_path):
    code = """
import os, sys, threading
before = set(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else set()
import jobs
after = set(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else set()
sys.exit(f"{after} {threading.enumerate()}" if len(after) > len(before) or threading.active_count() > 1 else 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=_env(), capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


def _env() -> dict[str, str]:
    import os
    from pathlib import Path

    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
