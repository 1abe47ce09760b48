"""Many limits at once, built to land where it hurts. ``JOBS_HAMMER=1`` runs the full sizes:
20,000 runs for each way of being slow, 3,000 limits in jobs that lock."""

from __future__ import annotations

import faulthandler
import importlib
import logging
import os
import queue
import random
import sqlite3
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from jobs.errors import TimeLimitExceeded
from worker.timeouts.deadline import Deadlines, TimeoutToken

FULL = bool(os.environ.get("JOBS_HAMMER"))
THREADS = 8
JOIN_SECONDS = 150 if FULL else 100


@pytest.fixture(autouse=True)
def stacks_of_a_hang() -> Iterator[None]:
    faulthandler.dump_traceback_later(100, exit=False)
    yield
    faulthandler.cancel_dump_traceback_later()


class Boom(Exception):
    pass


def spins(seconds: float) -> str:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass
    return "done"


def naps(seconds: float) -> str:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, 0.0005))
    return "done"


def raises(seconds: float) -> str:
    spins(seconds)
    raise Boom


def in_threads(count: int, body: Callable[[int], None]) -> int:
    """Run ``body`` in that many threads; return how many ended within ``JOIN_SECONDS`` seconds.

    The threads are daemons: a hang must fail the test, not keep the process.
    """
    came: list[int] = []

    def run(n: int) -> None:
        body(n)
        came.append(n)

    threads = [threading.Thread(target=run, args=[n], daemon=True) for n in range(count)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + JOIN_SECONDS
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    if len(came) < count:
        faulthandler.dump_traceback(file=2)
    return len(came)


def pause_when(*names: str) -> Callable[[str], None]:
    return lambda name: time.sleep(0.0003) if name in names else None


@pytest.fixture
def quick_switches() -> Iterator[None]:
    """At the usual 5 ms the watchdog comes long after most runs have ended."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("quick_switches")
@pytest.mark.parametrize(
    "step",
    [None, pause_when("won"), pause_when("sending"), pause_when("sent")],
    ids=["as it is", "slow to decide", "slow to send", "slow to say so"],
)
@pytest.mark.timeout(200)
def test_runs_that_end_at_their_limit_end_once(step: Callable[[str], None] | None) -> None:
    each = (20_000 if FULL else 1_200) // THREADS
    limit = 0.003
    deadlines = Deadlines(step=step)
    seen: list[Counter[str]] = [Counter() for _ in range(THREADS)]
    hard: list[int] = []

    def body(n: int) -> None:
        rng = random.Random(n)
        for number in range(each):
            job = rng.choice((spins, naps, raises))
            seconds = limit + rng.uniform(-0.001, 0.001)
            timeout_token = TimeoutToken(on_hard=partial(hard.append, number))
            endings = []
            try:
                try:
                    deadlines.perform(
                        partial(job, seconds), timeout_token=timeout_token, soft_seconds=limit, hard_seconds=60
                    )
                    endings.append("done")
                except Boom:
                    endings.append("raised")
                except TimeLimitExceeded:
                    endings.append("timed out")
                for _ in range(5):
                    time.sleep(0)
            except BaseException as escaped:
                endings.append(f"escaped {escaped!r}")
            seen[n][" and ".join(endings) or "lost"] += 1
            if ("timed out" in endings) != timeout_token.interrupted:
                seen[n]["flag differs"] += 1

    came = in_threads(THREADS, body)
    deadlines.stop()
    total = sum(seen, Counter())

    print(f"\n{sys.version.split()[0]} {dict(total)}")
    assert came == THREADS
    assert hard == []
    assert set(total) <= {"done", "raised", "timed out"}
    assert total.total() == each * THREADS
    assert total["timed out"] > 0
    assert total["done"] > 0


def work() -> None:
    """Some 20 µs of the job's own: in one that does nothing but lock there is no moment to interrupt it."""
    for _ in range(1000):
        pass


class Null(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        self.format(record)


@pytest.fixture
def log() -> logging.Logger:
    made = logging.Logger("hammer")
    made.addHandler(Null())
    return made


@pytest.fixture
def jobs_that_lock(log: logging.Logger, tmp_path: Path) -> dict[str, Callable[[], None]]:
    shared: queue.Queue[int] = queue.Queue()
    plain = threading.Lock()
    engine = sa.create_engine(f"sqlite:///{tmp_path}/hammer.db")
    module = tmp_path / "hammered_module.py"
    module.write_text("import json\nVALUE = 1\n")
    sys.path.insert(0, str(tmp_path))

    def logs() -> None:
        while True:
            log.warning("number %s", 1)
            work()

    def queues() -> None:
        while True:
            shared.put(1)
            shared.get()
            work()

    def imports() -> None:
        while True:
            sys.modules.pop("hammered_module", None)
            try:
                importlib.import_module("hammered_module")
            except KeyError:
                pass  # another thread has popped it meanwhile
            work()

    def selects() -> None:
        while True:
            with engine.connect() as connection:
                connection.execute(sa.text("select 1")).scalar()
            work()

    def sqlite() -> None:
        while True:
            connection = sqlite3.connect(":memory:")
            connection.execute("select 1").fetchall()
            connection.close()

    def locks() -> None:
        while True:
            with plain:
                pass

    def free(lock: threading.Lock) -> None:
        assert lock.acquire(timeout=5)
        lock.release()

    def check() -> None:
        free(log.handlers[0].lock)  # type: ignore[arg-type]
        free(logging._lock)  # type: ignore[attr-defined]
        free(shared.mutex)
        free(plain)
        with engine.connect() as connection:
            assert connection.execute(sa.text("select 1")).scalar() == 1
        importlib.import_module("hammered_module")

    return {
        "logs": logs, "queues": queues, "imports": imports, "selects": selects,
        "sqlite": sqlite, "locks": locks, "check": check,
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["logs", "queues", "imports", "selects", "sqlite", "locks"])
@pytest.mark.timeout(200)
def test_limits_in_jobs_that_lock_leave_no_lock_held(jobs_that_lock: dict[str, Callable[[], None]], kind: str) -> None:
    threads = 4
    each = (500 if FULL else 40) // threads
    deadlines = Deadlines()
    seen: list[Counter[str]] = [Counter() for _ in range(threads)]
    late: list[str] = []
    looks: list[int] = []

    def body(n: int) -> None:
        rng = random.Random(n)
        for _ in range(each):
            timeout_token = TimeoutToken(on_hard=lambda: late.append(kind))
            try:
                deadlines.perform(
                    jobs_that_lock[kind],
                    timeout_token=timeout_token,
                    soft_seconds=rng.uniform(0.001, 0.004),
                    hard_seconds=60,
                )
            except TimeLimitExceeded:
                seen[n]["timed out"] += 1
            except BaseException as error:
                seen[n][repr(error)] += 1
            looks.append(timeout_token.looks)

    came = in_threads(threads, body)
    deadlines.stop()
    total = sum(seen, Counter())

    print(f"\n{sys.version.split()[0]} {kind} {dict(total)} put off {sum(looks) / each / threads:.1f}")
    assert came == threads
    assert late == []
    assert total == {"timed out": each * threads}
    jobs_that_lock["check"]()
