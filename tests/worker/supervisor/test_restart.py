from __future__ import annotations

import random

from worker.supervisor.restart import LOOPING, MAX_SECONDS, BackOff


def test_waits_double_from_a_tenth_of_a_second_to_the_longest() -> None:
    back_off = BackOff(random.Random(1))

    waits = [back_off.died(0.0) for _ in range(12)]

    for number, wait in enumerate(waits):
        base = min(MAX_SECONDS, 0.1 * 2**number)
        assert base <= wait <= base * 1.25


def test_a_process_that_lived_long_enough_resets_the_wait() -> None:
    back_off = BackOff(random.Random(1))
    for _ in range(10):
        back_off.died(0.0)

    assert back_off.died(30.0) <= 0.125
    assert not back_off.is_looping


def test_a_crash_loop_is_one_after_so_many_deaths_in_a_row() -> None:
    back_off = BackOff(random.Random(1))

    looping = [(back_off.died(0.5), back_off.is_looping)[1] for _ in range(LOOPING + 1)]

    assert looping == [False] * (LOOPING - 1) + [True, True]


def test_one_killed_from_outside_every_few_seconds_keeps_nearly_all_its_time() -> None:
    rng = random.Random(7)
    back_off = BackOff(rng)
    lives = [rng.expovariate(1 / 4.0) for _ in range(2000)]

    waited = sum(back_off.died(life) for life in lives)

    assert waited < sum(lives) * 0.08
