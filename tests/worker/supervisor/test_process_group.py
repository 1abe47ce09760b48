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

from worker.protocol.control import Control
from worker.protocol.running_table import RunningRows
from worker.supervisor.generation import Exited
from worker.supervisor.plan import WorkerPlan
from worker.supervisor.process_group import ProcessGroup
from worker.supervisor.process_handle import ProcessHandle


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
        ignore = lambda handle: None  # noqa: E731
        self.group = ProcessGroup(
            WorkerPlan(**plan),
            self.clock,
            on_ready=ignore,
            on_leaving=ignore,
            on_recycle=ignore,
            on_gone=lambda handle, cause: self.gone.append((handle.name, cause)),
        )

    def start(self, *, ready: bool = True) -> ProcessHandle:
        handle = self.group.start(0, self.generation)
        assert handle is not None
        if ready:
            self.say(handle, say="ready")
        return handle

    def say(self, handle: ProcessHandle, **message: object) -> None:
        assert self.generation.lines[handle.name].send(**message)
        self.group.read_messages(handle)

    def told(self, handle: ProcessHandle) -> list[dict[str, Any]]:
        return [said for said in self.generation.lines[handle.name].receive() if said["do"] != "ping"]

    def exit(self, handle: ProcessHandle, status: int | None) -> None:
        self.generation.waiting.append(Exited(handle.name, status))
        self.group.read_events(self.generation)

    def pass_time(self, seconds: float) -> None:
        for _ in range(int(seconds * 2)):
            self.clock.sleep(0.5)
            self.group.do_what_is_due()


@pytest.fixture
def stage(request: pytest.FixtureRequest) -> Iterator[SimpleNamespace]:
    made: list[Stage] = []

    def make(**plan: Any) -> Stage:
        made.append(Stage(**plan))
        return made[-1]

    yield SimpleNamespace(make=make)
    for one in made:
        for handle in one.group:
            handle.control.close()
        for line in one.generation.lines.values():
            line.close()
        one.group.running_table.close()


def test_a_silent_process_is_killed_when_its_limit_is_over_and_not_before(stage: SimpleNamespace) -> None:
    group = stage.make(answer_limit=15.0)
    handle = group.start()

    group.pass_time(14)
    before = handle.killed
    group.pass_time(6)

    assert before == ""
    assert handle.killed == "killed: did not answer"


def test_a_silent_process_is_left_alone_when_there_is_no_limit(stage: SimpleNamespace) -> None:
    group = stage.make(answer_limit=None)
    handle = group.start()

    group.pass_time(600)

    assert handle.killed == ""


def test_a_process_that_answers_is_never_killed(stage: SimpleNamespace) -> None:
    group = stage.make(answer_limit=5.0)
    handle = group.start()

    for _ in range(20):
        group.pass_time(3)
        group.say(handle, say="pong", settled=3)

    assert handle.killed == ""
    assert handle.progress == {"settled": 3}


def test_silence_does_not_count_while_the_supervisor_itself_slept(stage: SimpleNamespace) -> None:
    group = stage.make(answer_limit=15.0)
    handle = group.start()
    group.pass_time(4)

    group.clock.sleep(600)
    group.group.do_what_is_due()

    assert handle.killed == ""


def test_a_process_that_has_never_answered_has_the_longer_limit(stage: SimpleNamespace) -> None:
    group = stage.make(answer_limit=15.0, start_limit=120.0)
    handle = group.start(ready=False)

    group.pass_time(100)
    before = handle.killed
    group.pass_time(30)

    assert before == ""
    assert handle.killed == "killed: did not answer"
    assert group.generation.killed > 0, "it has no id of its own: its zygote hangs"


def test_a_cleanup_goes_to_a_process_that_stays_and_is_kept_until_it_is_done(stage: SimpleNamespace) -> None:
    group = stage.make(processes=3)
    leaving, staying, victim = group.start(), group.start(), group.start()
    group.group.stop(leaving, 20)
    running_table = RunningRows(group.group.running_table.fd, victim.region)
    running_table.start(UUID(int=5))
    running_table.close()

    group.exit(victim, -11)
    group.group.do_what_is_due()

    assert [said["do"] for said in group.told(leaving)] == ["stop"]
    (clean_up,) = group.told(staying)
    assert clean_up["dead_processes"] == [
        {"name": victim.name, "performing": [str(UUID(int=5))], "ended": [], "cause": "signal 11", "over": []}
    ]
    assert len(group.group.dead_processes) == 1
    group.say(staying, say="cleaned_up", name=victim.name)
    assert len(group.group.dead_processes) == 0


def test_the_last_messages_of_a_process_count(stage: SimpleNamespace) -> None:
    group = stage.make(processes=2)
    victim, cleaner = group.start(), group.start()
    group.exit(victim, -9)
    group.group.do_what_is_due()

    group.generation.lines[cleaner.name].send(say="cleaned_up", name=victim.name)
    group.exit(cleaner, -9)

    assert group.group.dead_processes.names() == [cleaner.name]


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
def test_only_a_process_that_stops_on_request_and_exits_with_0_needs_no_cleanup(
    stage: SimpleNamespace, told: bool, status: int, cause: str | None
) -> None:
    group = stage.make()
    handle = group.start()
    if told:
        group.group.stop(handle, 10)

    group.exit(handle, status)

    assert group.gone == [(handle.name, cause)]
    assert group.group.dead_processes.names() == ([] if cause is None else [handle.name])


def test_a_process_that_could_not_be_started_needs_no_cleanup(stage: SimpleNamespace) -> None:
    group = stage.make()
    handle = group.start(ready=False)

    group.exit(handle, None)

    assert len(group.gone) == 1
    assert len(group.group.dead_processes) == 0


def test_names_are_unique_and_fit_the_ledger(stage: SimpleNamespace) -> None:
    group = stage.make(processes=4)

    names = {group.start().name for _ in range(16)}

    assert len(names) == 16
    assert all(0 < len(name) <= 100 for name in names)
    assert group.group.start(0, group.generation) is None, "every region of the marks is taken"


def _next_look(group: Stage) -> float:
    group.group.do_what_is_due()
    return group.group.next_look() - group.clock.monotonic()


def test_the_running_table_is_read_seldom_while_no_limit_is_near(stage: SimpleNamespace) -> None:
    group = stage.make(shortest_limit=10.0, ping_every=60.0)
    handle = group.start()
    running_table = RunningRows(group.group.running_table.fd, handle.region)

    group.clock.sleep(2.0)
    idle = _next_look(group)
    running_table.start(UUID(int=5), group.clock.monotonic() + 10.0)
    group.clock.sleep(2.0)
    far = _next_look(group)
    for _ in range(3):
        group.clock.sleep(2.0)
        near = _next_look(group)
    group.clock.sleep(near)
    on_time = _next_look(group)

    assert (idle, far) == (2.0, 2.0)
    assert near == pytest.approx(2.0), "8 s of 10 are over"
    assert on_time == pytest.approx(0.5), "its limit is now, and half a second later it is late"
    assert handle.killed == ""
    group.clock.sleep(0.51)
    group.group.do_what_is_due()
    assert handle.killed == "killed: over a time limit"
    running_table.close()


def test_with_short_limits_the_running_table_is_read_as_often(stage: SimpleNamespace) -> None:
    some, none = (stage.make(shortest_limit=limit, ping_every=60.0) for limit in (1.0, 0.0))
    for group in (some, none):
        group.start()
        group.clock.sleep(2.0)

    assert (_next_look(some), _next_look(none)) == (1.0, 0.25)
