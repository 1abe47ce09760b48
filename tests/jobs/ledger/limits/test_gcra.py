"""GCRA: no span has too many starts, whatever claims come late; slots keep their order, and no rate is wasted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.ledger.limits.gcra import LATEST, SECOND, Pace, Track, moment_of, nanoseconds

START = nanoseconds(datetime(2026, 3, 1, 12, tzinfo=UTC))


@dataclass
class Waiting:
    number: int
    priority: int
    at: int
    place: int | None = None


class Claims:
    """Claims of runs under one rate, as admission makes them, with the state written and read between them."""

    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self.now = START
        self.state: tuple[int | None, str | None] = (None, None)
        self.waiting: list[Waiting] = []
        self.starts: list[tuple[int, Waiting]] = []
        self.parked = 0

    def enqueue(self, count: int, priority: int = 0) -> None:
        first = len(self.waiting) + len(self.starts)
        self.waiting += [Waiting(first + n, priority, self.now) for n in range(count)]

    def claim(self, count: int) -> None:
        track = Track.read(self.pace, *self.state, self.now)
        due = sorted(
            (one for one in self.waiting if one.at <= self.now), key=lambda one: (one.priority, one.at, one.number)
        )
        # As admission does: the runs of one line in the order of their places.
        for one in sorted(due[:count], key=lambda one: (one.priority, one.place or LATEST)):
            if one.place is None:
                one.place = track.reserve(one.priority, self.now)
            one.at = track.slot(one.priority, one.place)
            if one.at <= self.now and track.room_at() > self.now:
                one.at = track.put_off(one.priority, one.place)
            if one.at > self.now:
                self.parked += 1
                continue
            track.start(one.priority, one.place, self.now)
            self.waiting.remove(one)
            self.starts.append((self.now, one))
        self.state = track.written(self.now)

    def drain(self, late: int = 0) -> None:
        """Claim each run when it is due, ``late`` nanoseconds after."""
        while self.waiting:
            self.now = max(self.now, min(one.at for one in self.waiting) + late)
            self.claim(200)

    def check(self) -> None:
        moments = [at for at, _ in self.starts]
        burst = self.pace.tolerance // self.pace.interval + 1
        for i, first in enumerate(moments):
            for j in range(i, len(moments)):
                assert j - i + 1 <= burst + 0.5 + (moments[j] - first) / self.pace.interval


STEP = st.tuples(st.integers(0, 8), st.sampled_from([0, 0, -1]), st.integers(1, 4), st.integers(0, 4000))


@settings(max_examples=60, deadline=None)
@given(
    burst=st.integers(1, 5),
    steps=st.lists(STEP, min_size=1, max_size=25),
    late=st.integers(0, 300),
    claims_all=st.booleans(),
)
def test_no_span_has_too_many_starts_and_no_run_of_a_priority_overtakes_another(
    burst: int, steps: list[tuple[int, int, int, int]], late: int, claims_all: bool
) -> None:
    """Workers come and go: between two claims up to four seconds pass, so that many slots pass unused.

    The order is exact if claims take all that is due: a claim of a few takes them by the slots that they had before.
    """
    claims = Claims(Pace(10, 1.0, burst))
    for count, priority, claimed, milliseconds in steps:
        claims.claim(200 if claims_all else claimed)
        claims.enqueue(count, priority)
        claims.claim(200)
        claims.now += milliseconds * SECOND // 1000
    while claims.waiting:
        claims.drain(late * SECOND // 1000)

    claims.check()
    for priority in (0, -1) if claims_all else ():
        order = [one.place for _, one in claims.starts if one.priority == priority]
        assert order == sorted(order, key=lambda place: place or 0)
    assert len(claims.starts) == sum(count for count, *_ in steps)


def test_a_thousand_runs_at_600_a_minute_take_their_ideal_time_and_are_parked_once() -> None:
    claims = Claims(Pace(600, 60.0, 10))
    claims.enqueue(1000)
    for _ in range(5):
        claims.claim(200)
    claims.drain(late=20_000_000)

    claims.check()
    took = (claims.starts[-1][0] - START) / SECOND
    assert 99.0 <= took <= 99.1
    assert claims.parked == 990


def test_after_a_pause_of_all_workers_the_line_goes_on_in_its_order_and_each_run_is_parked_once_more() -> None:
    claims = Claims(Pace(10, 1.0, 1))
    claims.enqueue(100)
    claims.claim(100)
    claims.now += 5 * SECOND
    parked = claims.parked

    claims.drain()

    claims.check()
    assert [one.number for _, one in claims.starts] == list(range(100))
    assert (claims.starts[-1][0] - START) / SECOND <= 5 + 9.9
    assert claims.parked - parked <= 100


def test_an_urgent_run_takes_the_next_slot_and_the_line_moves_by_one() -> None:
    claims = Claims(Pace(10, 1.0, 1))
    claims.enqueue(50)
    while len(claims.waiting) > 40:
        claims.claim(50)
        claims.now += SECOND // 100
    claims.enqueue(1, priority=-1)
    at = claims.now

    claims.drain()

    claims.check()
    started = next(moment for moment, one in claims.starts if one.priority == -1)
    assert started - at <= SECOND // 10
    assert (claims.starts[-1][0] - START) / SECOND <= 5.1


def test_a_run_that_comes_late_by_itself_does_not_delay_the_line() -> None:
    """A full limit held it: its slot passed unused, so it starts at once, and the others keep their slots."""
    claims = Claims(Pace(10, 1.0, 2))
    claims.enqueue(30)
    claims.claim(30)
    late = claims.waiting[3]
    claims.waiting.remove(late)
    while len(claims.waiting) > 20:
        claims.now = min(one.at for one in claims.waiting)
        claims.claim(1)
    late.at = claims.now
    claims.waiting.append(late)

    claims.drain()

    claims.check()
    assert (claims.starts[-1][0] - START) / SECOND <= 2.9


def test_a_clock_that_was_set_back_and_a_faster_rate_stop_nothing() -> None:
    track = Track.read(Pace(10, 1.0, 1), START + 3600 * SECOND, None, START)

    assert track.room_at() - START <= 2 * SECOND // 10
    assert moment_of(START + 1).microsecond == 1, "a slot is never early"
