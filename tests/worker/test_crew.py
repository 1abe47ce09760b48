"""What time demands of a supervisor, with a clock that the test advances and processes that are only
lines.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from worker.control import Control
from worker.crew import Crew
from worker.generation import Exited
from worker.marks import Marks
from worker.member import Member
from worker.plan import Plan


@dataclass
class HandClock:
    seconds: float = 1000.0
    rng: random.Random = field(default_factory=lambda: random.Random(1))

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class FakeGeneration:
    """Every process it starts is a line that the test holds."""

    number, imports, target = 1, (), "nowhere:nothing"

    def __init__(self) -> None:
        self.orders: dict[str, Any] = {}
        self.lines: dict[str, Control] = {}
        self.killed = 0
        self.waiting: list[Exited] = []

    def start(self, order: Any, control: socket.socket) -> bool:
        self.orders[order.name] = order
        self.lines[order.name] = Control(control.dup())
        return True

    def spawned_pid(self, name: str) -> None:
        return None

    def kill(self) -> None:
        self.killed += 1

    def news(self) -> Iterator[Exited]:
        yield from self.waiting
        self.waiting = []


class Stage:
    def __init__(self, **plan: Any) -> None:
        self.clock = HandClock()
        self.generation: Any = FakeGeneration()
        self.gone: list[tuple[str, str | None]] = []
        ignore = lambda member: None  # noqa: E731
        self.crew = Crew(
            Plan(**plan),
            self.clock,
            on_ready=ignore,
            on_leaving=ignore,
            on_worn=ignore,
            on_gone=lambda member, cause: self.gone.append((member.name, cause)),
        )

    def start(self, *, ready: bool = True) -> Member:
        member = self.crew.start(0, self.generation)
        assert member is not None
        if ready:
            self.say(member, say="ready")
        return member

    def say(self, member: Member, **message: object) -> None:
        assert self.generation.lines[member.name].send(**message)
        self.crew.hear(member)

    def told(self, member: Member) -> list[dict[str, Any]]:
        return [said for said in self.generation.lines[member.name].receive() if said["do"] != "ping"]

    def exit(self, member: Member, status: int | None) -> None:
        self.generation.waiting.append(Exited(member.name, status))
        self.crew.learn(self.generation)

    def pass_time(self, seconds: float) -> None:
        for _ in range(int(seconds * 2)):
            self.clock.sleep(0.5)
            self.crew.look_after()


@pytest.fixture
def stage(request: pytest.FixtureRequest) -> Iterator[SimpleNamespace]:
    made: list[Stage] = []

    def make(**plan: Any) -> Stage:
        made.append(Stage(**plan))
        return made[-1]

    yield SimpleNamespace(make=make)
    for one in made:
        for member in one.crew:
            member.control.close()
        for line in one.generation.lines.values():
            line.close()
        one.crew.marks.close()


def test_a_silent_process_is_killed_when_its_limit_is_over_and_not_before(stage: SimpleNamespace) -> None:
    crew = stage.make(answer_limit=15.0)
    member = crew.start()

    crew.pass_time(14)
    before = member.killed
    crew.pass_time(6)

    assert before == ""
    assert member.killed == "killed: did not answer"


def test_a_silent_process_is_left_alone_when_there_is_no_limit(stage: SimpleNamespace) -> None:
    crew = stage.make(answer_limit=None)
    member = crew.start()

    crew.pass_time(600)

    assert member.killed == ""


def test_one_that_answers_is_never_killed(stage: SimpleNamespace) -> None:
    crew = stage.make(answer_limit=5.0)
    member = crew.start()

    for _ in range(20):
        crew.pass_time(3)
        crew.say(member, say="pong", settled=3)

    assert member.killed == ""
    assert member.progress == {"settled": 3}


def test_silence_is_forgiven_when_the_supervisor_itself_was_asleep(stage: SimpleNamespace) -> None:
    crew = stage.make(answer_limit=15.0)
    member = crew.start()
    crew.pass_time(4)

    crew.clock.sleep(600)
    crew.crew.look_after()

    assert member.killed == ""


def test_a_process_that_has_never_said_anything_has_the_longer_limit(stage: SimpleNamespace) -> None:
    crew = stage.make(answer_limit=15.0, start_limit=120.0)
    member = crew.start(ready=False)

    crew.pass_time(100)
    before = member.killed
    crew.pass_time(30)

    assert before == ""
    assert member.killed == "killed: did not answer"
    assert crew.generation.killed > 0, "it has no id of its own: its zygote hangs"


def test_an_orphan_goes_to_one_that_stays_and_is_kept_until_it_is_buried(stage: SimpleNamespace) -> None:
    crew = stage.make(processes=3)
    leaving, staying, victim = crew.start(), crew.start(), crew.start()
    crew.crew.stop(leaving, 20)
    marks = Marks(crew.crew.marks.fd, victim.slot)
    marks.start(UUID(int=5))
    marks.close()

    crew.exit(victim, -11)
    crew.crew.look_after()

    assert [said["do"] for said in crew.told(leaving)] == ["stop"]
    (bury,) = crew.told(staying)
    assert bury["orphans"] == [
        {"name": victim.name, "performing": [str(UUID(int=5))], "ended": [], "cause": "signal 11", "over": []}
    ]
    assert len(crew.crew.orphans) == 1
    crew.say(staying, say="buried", name=victim.name)
    assert len(crew.crew.orphans) == 0


def test_the_last_words_of_a_process_count(stage: SimpleNamespace) -> None:
    crew = stage.make(processes=2)
    victim, digger = crew.start(), crew.start()
    crew.exit(victim, -9)
    crew.crew.look_after()

    crew.generation.lines[digger.name].send(say="buried", name=victim.name)
    crew.exit(digger, -9)

    assert crew.crew.orphans.names() == [digger.name]


@pytest.mark.parametrize(
    ("told", "status", "cause"),
    [
        (True, 0, None),
        (True, 1, "exit 1"),
        (True, -9, "signal 9"),
        (False, 0, "exit 0"),
        (False, 7, "exit 7"),
    ],
)
def test_only_one_that_was_told_to_stop_and_left_with_0_leaves_no_orphan(
    stage: SimpleNamespace, told: bool, status: int, cause: str | None
) -> None:
    crew = stage.make()
    member = crew.start()
    if told:
        crew.crew.stop(member, 10)

    crew.exit(member, status)

    assert crew.gone == [(member.name, cause)]
    assert crew.crew.orphans.names() == ([] if cause is None else [member.name])


def test_one_that_could_not_be_started_leaves_no_orphan(stage: SimpleNamespace) -> None:
    crew = stage.make()
    member = crew.start(ready=False)

    crew.exit(member, None)

    assert len(crew.gone) == 1
    assert len(crew.crew.orphans) == 0


def test_names_are_unique_and_fit_the_ledger(stage: SimpleNamespace) -> None:
    crew = stage.make(processes=4)

    names = {crew.start().name for _ in range(16)}

    assert len(names) == 16
    assert all(0 < len(name) <= 100 for name in names)
    assert crew.crew.start(0, crew.generation) is None, "every region of the marks is taken"


def _next_look(crew: Stage) -> float:
    crew.crew.look_after()
    return crew.crew.next_look() - crew.clock.monotonic()


def test_marks_are_looked_at_seldom_while_no_limit_is_near(stage: SimpleNamespace) -> None:
    crew = stage.make(shortest_limit=10.0, ping_every=60.0)
    member = crew.start()
    marks = Marks(crew.crew.marks.fd, member.slot)

    crew.clock.sleep(2.0)
    idle = _next_look(crew)
    marks.start(UUID(int=5), crew.clock.monotonic() + 10.0)
    crew.clock.sleep(2.0)
    far = _next_look(crew)
    for _ in range(3):
        crew.clock.sleep(2.0)
        near = _next_look(crew)
    crew.clock.sleep(near)
    on_time = _next_look(crew)

    assert (idle, far) == (2.0, 2.0)
    assert near == pytest.approx(2.0), "8 s of 10 are over"
    assert on_time == pytest.approx(0.5), "its limit is now, and half a second later it is late"
    assert member.killed == ""
    crew.clock.sleep(0.51)
    crew.crew.look_after()
    assert member.killed == "killed: over a time limit"
    marks.close()


def test_where_limits_may_be_short_marks_are_looked_at_as_often(stage: SimpleNamespace) -> None:
    some, none = (stage.make(shortest_limit=limit, ping_every=60.0) for limit in (1.0, 0.0))
    for crew in (some, none):
        crew.start()
        crew.clock.sleep(2.0)

    assert (_next_look(some), _next_look(none)) == (1.0, 0.25)
