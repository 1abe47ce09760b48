"""Retry: pure; a delay within its bounds, or None to give up."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.definition.retry import Retry
from jobs.errors import DefinitionError, RetryAfter, Snooze

ZERO = timedelta(0)
SPANS = st.timedeltas(timedelta(microseconds=1), timedelta(days=3650))


@given(
    first=SPANS,
    cap=SPANS,
    factor=st.floats(1, 1e6),
    max_attempts=st.integers(1, 32767),
    failures=st.integers(1, 40000),
    jitter=st.sampled_from(["full", "none"]),
    seed=st.integers(0, 9),
)
def test_a_delay_is_never_above_the_cap_nor_below_zero_and_ends_with_the_budget(
    first, cap, factor, max_attempts, failures, jitter, seed
):
    policy = Retry(first=first, cap=cap, factor=factor, max_attempts=max_attempts, jitter=jitter)

    delay = policy.delay(failures, error=ValueError(), age=ZERO, rng=random.Random(seed))

    if failures >= max_attempts:
        assert delay is None
    else:
        assert delay is not None
        assert ZERO <= delay <= policy.wait(failures) <= cap
        if jitter == "none":
            assert delay == policy.wait(failures)


@given(first=SPANS, factor=st.floats(1, 100), failures=st.integers(1, 60))
def test_waits_never_shrink(first, factor, failures):
    policy = Retry(first=first, factor=factor, cap=timedelta(days=36500))

    assert policy.wait(failures) <= policy.wait(failures + 1)


@given(within=SPANS, age=SPANS, failures=st.integers(1, 9), seed=st.integers(0, 9))
def test_no_attempt_is_planned_later_than_within_allows(within, age, failures, seed):
    policy = Retry(within=within)

    delay = policy.delay(failures, error=None, age=age, rng=random.Random(seed))

    assert delay is None or age + delay <= within


def test_the_default_doubles_from_fifteen_seconds_to_an_hour():
    waits = [Retry().wait(n).total_seconds() for n in range(1, 11)]

    assert waits == [15, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600]


@pytest.mark.parametrize(
    ("policy", "error", "is_fatal"),
    [
        (Retry(), ValueError(), False),
        (Retry(), KeyboardInterrupt(), True),
        (Retry(retry_on=(OSError,)), ValueError(), True),
        (Retry(retry_on=(OSError,)), ConnectionError(), False),
        (Retry(retry_on=(OSError,), give_up_on=(FileNotFoundError,)), FileNotFoundError(), True),
        (Retry(give_up_on=(Exception,)), ValueError(), True),
    ],
)
def test_give_up_on_wins_over_retry_on(policy, error, is_fatal):
    assert policy.is_fatal(error) is is_fatal
    assert (policy.delay(1, error=error, age=ZERO, rng=random.Random(1)) is None) is is_fatal


@pytest.mark.parametrize(
    "given",
    [
        {"max_attempts": 0},
        {"max_attempts": 32768},
        {"max_attempts": True},
        {"max_attempts": 2.0},
        {"factor": 0.5},
        {"factor": float("nan")},
        {"factor": "2"},
        {"first": 15},
        {"first": ZERO},
        {"cap": ZERO},
        {"cap": None},
        {"within": timedelta(seconds=-1)},
        {"jitter": "some"},
        {"retry_on": ValueError},
        {"retry_on": (ValueError(),)},
        {"give_up_on": ["ValueError"]},
    ],
    ids=str,
)
def test_an_invalid_policy_is_refused_when_it_is_made(given):
    with pytest.raises(DefinitionError, match=next(iter(given))):
        Retry(**given)


@pytest.mark.parametrize("make", [RetryAfter, Snooze])
@pytest.mark.parametrize("delay", [5, timedelta(seconds=-1), None, "1h"])
def test_steering_takes_a_span(make, delay):
    with pytest.raises(ValueError, match="timedelta"):
        make(delay)


def test_never_makes_the_first_failure_the_last():
    policy = Retry.never()

    assert policy.delay(1, error=ValueError(), age=timedelta(0), rng=random.Random(1)) is None
    assert policy.delay(1, error=None, age=timedelta(0), rng=random.Random(1)) is None
