"""F1, F2, F3 and F9 upon workflows: gathers three deep that wait for signals. Each join and callback comes once."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
import redis

import jobs
from jobs.errors import JobsError
from jobs.ledger.batches.find import broken_counts
from tests.faults.fleet import DRAINED_WITHIN, Fleet, record
from tests.faults.flows import GO, FaultFlowTold, FaultFlowTree
from tests.faults.processes import until
from tests.faults.test_kills import kill_every_second
from tests.servers import PostgresServer, RedisServer

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(240)]

TREES = "select id from job_runs where kind = 'FaultFlowTree' and state in ('queued', 'running')"
HELD = "select count(*) from job_runs where kind = 'FaultFlowTree' and held_on = 'signal:go'"


class Flows:
    """Batches of trees. Signals are sent to their runs at random moments, whatever the servers do."""

    def __init__(self, fleet: Fleet, trees: list[tuple[int, ...]]) -> None:
        self.fleet = fleet
        self.sent: dict[UUID, int | None] = {}
        """The payload of each signal that was acknowledged; None if an earlier call had sent one, unanswered."""
        self._over = threading.Event()
        self._last_at = time.monotonic()
        self._sender = threading.Thread(target=self._send_all, name="signals")
        self.roots: dict[UUID, tuple[int, ...]] = {}
        self.batches: list[UUID] = []
        for widths in trees:
            told: dict[str, Any] = {f"on_{what}": [FaultFlowTold(what=what)] for what in ("success", "dead", "end")}
            with jobs.batch("flow", **told) as batch:
                self.roots[batch.add(FaultFlowTree(seed=fleet.load.seed, widths=widths))] = widths
            self.batches.append(batch.id)

    @property
    def runs(self) -> int:
        """All runs that there must be in the end: the trees, and two callbacks a batch."""
        return sum(_runs(widths) for widths in self.roots.values()) + 2 * len(self.batches)

    def start(self) -> None:
        self._sender.start()

    def _send_all(self) -> None:
        """Each run gets its signal at some moment of the load, in a random order, until nobody is left to wait."""
        rng, load = self.fleet.load.rng, self.fleet.load
        pause = 0.8 * load.seconds / sum(_waits(widths) for widths in self.roots.values())
        while not self._over.is_set():
            try:
                found = [row[0] for row in self.fleet.rows(TREES)]
            except Exception:
                found = []
            waiting = [one for one in found if one not in self.sent]
            if waiting:
                self._send(rng.choice(waiting), rng.randrange(1000))
            self._over.wait(pause)

    def _send(self, run_id: UUID, payload: int) -> None:
        try:
            sent = jobs.signal(run_id, GO, payload)
        except JobsError:
            return  # It is unknown whether it was sent. If not, the run waits on, and the next turn finds it.
        self.sent[run_id] = payload if sent.is_first else None
        self._last_at = time.monotonic()

    def check(self, name: str) -> None:
        """Wait until all have ended, and check that each run was made once, and each callback."""
        fleet, load = self.fleet, self.fleet.load
        assert until(lambda: fleet.left() == 0, seconds=60 + load.seconds, every=0.1), fleet.open()
        drained = time.monotonic() - max(fleet.last_fault_at, self._last_at)
        self._over.set()
        self._sender.join()
        states = Counter(dict(fleet.rows("select state, count(*) from job_runs group by state")))
        assert states == {"succeeded": self.runs}
        with fleet.app.database.read() as connection:
            assert list(broken_counts(connection)) == []
        assert fleet.value("select count(*) from job_batches where ended_at is null") == 0
        assert _told(fleet) == {(what, str(one), 1): 1 for one in self.batches for what in ("success", "end")}
        sums = {root: jobs.find(root).result for root in self.roots}
        assert {root: found[0] for root, found in sums.items()} == {
            root: _leaves(widths) for root, widths in self.roots.items()
        }
        kept = dict(fleet.rows("select run_id, payload from job_signals"))
        assert {run_id: kept.get(run_id) for run_id, payload in self.sent.items() if payload is not None} == {
            run_id: payload for run_id, payload in self.sent.items() if payload is not None
        }
        assert sum(found[1] for found in sums.values()) == sum(kept.values()), "a signal was lost"
        found = {
            "test": name,
            "seed": load.seed,
            "runs": self.runs,
            "failures": fleet.value("select count(*) from job_attempts where outcome in ('failed', 'timed_out')"),
            "kills": fleet.kills,
            "drained_seconds": round(drained, 1),
            "signals": len(kept),
            "joins": fleet.value("select count(*) from job_batches"),
        }
        print(found)
        if load.is_timed:
            assert drained <= DRAINED_WITHIN, f"drained only {drained:.1f} s after the last fault"
            record(found)


def _runs(widths: tuple[int, ...]) -> int:
    return 1 + (widths[0] * _runs(widths[1:]) if widths else 0)


def _waits(widths: tuple[int, ...]) -> int:
    """The runs of a tree that wait for a signal: all that have children."""
    return 1 + widths[0] * _waits(widths[1:]) if widths else 0


def _leaves(widths: tuple[int, ...]) -> int:
    return widths[0] * _leaves(widths[1:]) if widths else 1


def _told(fleet: Fleet) -> Counter[tuple[Any, ...]]:
    return Counter(tuple(row[0]) for row in fleet.rows("select result from job_runs where kind = 'FaultFlowTold'"))


def trees(is_full: bool) -> list[tuple[int, ...]]:
    """The widths of each tree, from its root: 9,600 runs, or 90."""
    return [(10, 10, 10)] * 5 + [(100, 40)] if is_full else [(4, 4, 4)]


@pytest.mark.short
def test_f1_worker_processes_are_killed_while_runs_gather_and_wait(make_fleet, load, is_full):
    fleet = make_fleet()
    flows = Flows(fleet, trees(is_full))

    flows.start()
    kill_every_second(fleet, load.seconds)

    flows.check("F1 (workflows)")
    assert fleet.stop() == 0


def test_f2_redis_is_flushed_and_killed_while_runs_gather_and_wait(make_fleet, load, valkey, is_full):
    fleet = make_fleet()
    flows = Flows(fleet, trees(is_full))

    flows.start()
    for _ in range(3):
        time.sleep(load.seconds / 8)
        flush(fleet, valkey)
        time.sleep(load.seconds / 8)
        kill_redis(fleet, valkey)

    flows.check("F2 (workflows)")
    assert fleet.stop() == 0


def test_f3_postgres_is_stopped_while_runs_gather_and_wait(make_fleet, load, postgres, is_full):
    fleet = make_fleet()
    flows = Flows(fleet, trees(is_full))

    flows.start()
    for _ in range(2):
        time.sleep(load.seconds / 3)
        stop_postgres(fleet, postgres)

    flows.check("F3 (workflows)")
    assert fleet.stop() == 0


def test_f9_all_of_it_at_once_while_runs_gather_and_wait(make_fleet, load, postgres, valkey, is_full):
    fleet = make_fleet(lease=5)
    flows = Flows(fleet, trees(is_full))
    over = threading.Event()

    def every(seconds: float, do: Callable[[], None]) -> threading.Thread:
        def go() -> None:
            while not over.wait(seconds):
                do()

        return threading.Thread(target=go)

    part = load.seconds / 12
    threads = [
        every(1.0, fleet.kill_one),
        every(part * 3, lambda: flush(fleet, valkey)),
        every(part * 4, lambda: kill_redis(fleet, valkey)),
        every(part * 5, lambda: stop_postgres(fleet, postgres)),
        every(part * 2.5, lambda: fleet.freeze_one(7)),
    ]
    flows.start()
    for thread in threads:
        thread.start()
    time.sleep(load.seconds)
    over.set()
    for thread in threads:
        thread.join()

    flows.check("F9 (workflows)")
    assert fleet.stop() == 0


def test_redis_is_wiped_while_all_runs_wait(make_fleet, load, valkey, is_full):
    fleet = make_fleet()
    flows = Flows(fleet, [(3, 3)] * (100 if is_full else 10))
    assert until(lambda: fleet.value(HELD) == len(flows.roots), seconds=load.within(30))

    flush(fleet, valkey)
    kill_redis(fleet, valkey)
    flows.start()

    flows.check("waits, Redis wiped")
    assert fleet.stop() == 0


def flush(fleet: Fleet, valkey: RedisServer) -> None:
    try:
        with redis.Redis.from_url(valkey.url, socket_timeout=1) as client:
            client.flushall()
    except redis.RedisError:
        pass
    fleet.fault()


def kill_redis(fleet: Fleet, valkey: RedisServer) -> None:
    valkey.stop(signal.SIGKILL)
    valkey.start()
    fleet.fault()


def stop_postgres(fleet: Fleet, postgres: PostgresServer) -> None:
    postgres.stop(signal.SIGQUIT)
    time.sleep(0.5)
    postgres.start()
    fleet.fault()
