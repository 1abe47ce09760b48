"""F5, F6, F9: frozen processes, jobs that take their process down, and everything together."""

from __future__ import annotations

import signal
import threading
import time

import pytest
import redis

from jobs.upkeep.loop import Upkeep
from tests.faults.processes import until
from tests.faults.work import EatMemory, Effect, Segfault

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.mark.short
def test_f5_a_worker_frozen_for_three_leases_is_refused(make_fleet, load):
    load.runs, load.seconds, load.processes = 40, 1.0, 2
    # A process that is silent for longer than its supervisor waits is killed: here it must live and be refused.
    fleet = make_fleet(lease=2, answer_limit_seconds=None)
    for n in range(load.runs):
        Effect(n=n, seed=load.seed, failing=0.0, sleep_seconds=1.0).enqueue()
    assert until(
        lambda: fleet.value("select count(*) from job_runs where state = 'running'") >= 8, seconds=load.within(10)
    )

    fleet.freeze_one(6.5)

    drained = fleet.drained()
    refused = until(
        lambda: fleet.value("select count(*) from job_attempts where refused_at is not null"), seconds=load.within(5)
    )
    fleet.check("F5", drained=drained)
    assert refused >= 1
    assert fleet.value("select count(*) from job_attempts where outcome = 'abandoned'") >= 1
    assert fleet.stop() == 0


@pytest.mark.parametrize("whole_node", [False, True], ids=["process", "node"])
def test_f5_a_worker_that_claims_again_what_it_lost_while_frozen_ends_only_the_lost_attempts(
    make_fleet, load, whole_node
):  # K.1
    load.runs, load.seconds, load.processes = 4, 1.0, 1
    # One worker, so that it claims the runs that it lost again. The test itself rescues expired leases.
    fleet = make_fleet(lease=3, redis=False, **({} if whole_node else {"answer_limit_seconds": None}))
    upkeep = Upkeep(fleet.app)
    upkeep.start()
    try:
        for n in range(load.runs):
            Effect(n=n, seed=load.seed, failing=0.0, steps=50).enqueue()
        running = "select count(*) from job_runs where state = 'running'"
        assert until(lambda: fleet.value(running) >= load.threads, seconds=load.within(10))

        (fleet.freeze_nodes if whole_node else fleet.freeze_one)(12)

        drained = fleet.drained()
    finally:
        upkeep.stop()
    refused = fleet.value("select count(*) from job_attempts where refused_at is not null")
    again = fleet.value("select count(distinct run_id) from job_attempts where attempt > 1")
    fleet.check("F5 (same worker)", case="node" if whole_node else "process", drained=drained, claimed_again=again)
    assert refused >= 1
    assert fleet.value("select count(distinct worker) from job_attempts") == 1
    assert "outside the job" not in fleet.said()
    assert fleet.stop() == 0


@pytest.mark.short
def test_f6_what_kills_its_process_is_poison_and_takes_no_other_with_it(make_fleet, load):
    load.runs, load.seconds = 200, 10.0
    fleet = make_fleet(poison_after=3)
    segfault, eater = Segfault().enqueue().id, EatMemory().enqueue().id
    started = time.monotonic()

    with fleet.under_load():
        poisoned = "select count(*) from job_runs where cause = 'poison'"
        assert until(lambda: fleet.value(poisoned) == 2, seconds=load.within(60))
        took = time.monotonic() - started

    innocents = fleet.value("select coalesce(max(crashes), 0) from job_runs where kind = 'Effect'")
    fleet.kills = 6
    fleet.check("F6", drained=fleet.drained(), poison_seconds=round(took, 1), innocents_crashed_most=innocents)
    assert took < load.within(60)
    assert innocents <= 1
    for run_id, outcome in ((segfault, "crashed"), (eater, "out_of_memory")):
        charged = f"select count(*) from job_attempts where run_id = '{run_id}' and outcome = '{outcome}'"
        assert fleet.value(charged) == 3
    assert fleet.stop() == 0


def test_f9_kills_wipes_stops_freezes_and_zombies_together(make_fleet, load, postgres, valkey, is_full):
    fleet = make_fleet(lease=5)
    over = threading.Event()

    def every(seconds, do):
        def go():
            while not over.wait(seconds):
                do()

        return threading.Thread(target=go)

    def flush():
        try:
            with redis.Redis.from_url(valkey.url, socket_timeout=1) as client:
                client.flushall()
        except redis.RedisError:
            pass
        fleet.fault()

    def kill_redis():
        valkey.stop(signal.SIGKILL)
        valkey.start()
        fleet.fault()

    def stop_postgres():
        postgres.stop(signal.SIGQUIT)
        time.sleep(0.5)
        postgres.start()
        fleet.fault()

    part = load.seconds / 12
    threads = [
        every(1.0, fleet.kill_one),
        every(part * 3, flush),
        every(part * 4, kill_redis),
        every(part * 5, stop_postgres),
        every(part * 2.5, lambda: fleet.freeze_one(7)),
    ]
    with fleet.under_load():
        for thread in threads:
            thread.start()
        time.sleep(load.seconds)
        over.set()
        for thread in threads:
            thread.join()
        valkey.send(signal.SIGSTOP)
        time.sleep(2)
        valkey.send(signal.SIGCONT)
        fleet.fault()

    fleet.check("F9", drained=fleet.drained(), extra_allowed=40)
    assert fleet.stop() == 0
