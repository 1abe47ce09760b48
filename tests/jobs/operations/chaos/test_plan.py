"""The plan of a run of chaos: what a seed gives, and what it never does."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.operations.chaos.plan import Fault, busy_seconds, make_plan

LEASE = timedelta(seconds=30)


@pytest.mark.parametrize("seconds", [4, 20, 120, 3600])
def test_a_seed_gives_the_same_faults_and_all_end_before_the_quiet_part(seconds: int) -> None:
    span, every = timedelta(seconds=seconds), timedelta(seconds=1)

    plan = make_plan(7, span=span, every=every, faults=list(Fault), lease=LEASE)

    assert plan == make_plan(7, span=span, every=every, faults=list(Fault), lease=LEASE)
    assert plan != make_plan(8, span=span, every=every, faults=list(Fault), lease=LEASE)
    assert [one.at for one in plan] == sorted(one.at for one in plan)
    assert 0 < max(one.at + one.stopped_seconds for one in plan) <= busy_seconds(span) + 0.01 < seconds
    assert all(0 <= one.pick < 1 and (one.stopped_seconds > 0) is (one.fault is Fault.STOP) for one in plan)


def test_only_the_chosen_faults_are_planned_and_every_one_of_them() -> None:
    span, every = timedelta(minutes=10), timedelta(seconds=1)

    chosen = [Fault.KILL, Fault.FLUSH]

    assert {one.fault for one in make_plan(1, span=span, every=every, faults=chosen, lease=LEASE)} == set(chosen)
