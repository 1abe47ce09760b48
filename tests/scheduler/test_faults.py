"""F12: three schedulers, fifty schedules every second; the leader killed every five seconds and frozen once."""

from __future__ import annotations

import signal
import subprocess
import time
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from jobs.app import App
from jobs.database.models import JobRun, JobScheduleSlot
from jobs.ledger.moment import ledger_moment
from jobs.ledger.schedules import leader, schedules
from tests.faults.load import selects_full
from tests.waiting import wait_until

COUNT = 50
SECOND = timedelta(seconds=1)
REPLACED_WITHIN = 10 * SECOND
LATE = 5 * SECOND
STARTS_IN = 5.0
"""Seconds in which a scheduler surely stands by; a busy machine imports slowly."""

SHOP = f"""
from datetime import timedelta
from jobs import Every, Job

class Tick(Job):
    n: int
    def perform(self):
        pass

schedules = [
    Every(timedelta(seconds=1), job=Tick(n=n), name=f"tick-{{n}}", catch_up="all", max_catch_up=100)
    for n in range({COUNT})
]
"""


@dataclass
class Leaders:
    """The leaders and the start of their leadership, found by polling."""

    app: App
    since: list[datetime] = field(default_factory=list)
    holder: str = ""

    def look(self) -> leader.LeaderRecord | None:
        with self.app.database.read() as connection:
            now = leader.leader(connection, "scheduler")
        if now is not None and now.is_live and now.holder != self.holder:
            self.holder = now.holder
            self.since.append(now.since)
        return now if now is not None and now.is_live else None

    @property
    def pid(self) -> int:
        return int(self.holder.split("/")[1])


@dataclass
class Fleet:
    """Schedulers that are replaced when they are killed, as a process manager does."""

    start: Callable[[], subprocess.Popen[bytes]]
    members: list[subprocess.Popen[bytes]] = field(default_factory=list)
    born: dict[int, float] = field(default_factory=dict)
    frozen: set[int] = field(default_factory=set)

    def fill(self, count: int) -> None:
        self.members = [one for one in self.members if one.poll() is None]
        for _ in range(count - len(self.members)):
            self.members.append(self.start())
            self.born[self.members[-1].pid] = time.monotonic()

    def has_standby(self, leader_pid: int) -> bool:
        """Whether another scheduler stands by: not frozen, and started long enough ago."""
        return any(
            one.pid != leader_pid and one.pid not in self.frozen and time.monotonic() - self.born[one.pid] > STARTS_IN
            for one in self.members
        )

    def send(self, pid: int, sig: signal.Signals) -> None:
        (member,) = [one for one in self.members if one.pid == pid]
        member.send_signal(sig)
        if sig is signal.SIGKILL:
            member.wait()
        elif sig is signal.SIGSTOP:
            self.frozen.add(pid)
        elif sig is signal.SIGCONT:
            self.frozen.discard(pid)

    def stop(self) -> None:
        for one in self.members:
            one.send_signal(signal.SIGTERM)
        # A scheduler that was just started may not handle signals yet.
        codes = [one.wait(20) for one in self.members]
        assert 0 in codes
        assert set(codes) <= {0, -signal.SIGTERM}


def moment(app: App) -> datetime:
    with app.database.read() as connection:
        return ledger_moment(connection)


@pytest.fixture
def is_full(request: pytest.FixtureRequest) -> bool:
    """Whether this is ``make faults``; a plain test run has a shorter one."""
    return selects_full(request.config.option.markexpr)


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.timeout(400)
def test_every_slot_fires_once_however_leaders_die(
    is_full: bool, app: App, spawn: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    seconds, frozen_for = (120, 20) if is_full else (12, 7)
    (tmp_path / "shop.py").write_text(SHOP)
    fleet = Fleet(lambda: spawn("scheduler", "--import", "shop"))
    leaders = Leaders(app)
    fleet.fill(3)
    assert wait_until(lambda: leaders.look() is not None and len(all_schedules(app)) == COUNT, seconds=60)

    begin = moment(app).replace(microsecond=0) + SECOND
    disturbed = disturb(app, fleet, leaders, until=begin + seconds * SECOND, frozen_for=frozen_for)
    end = moment(app).replace(microsecond=0)
    gone = max(at for at, _ in disturbed)
    assert wait_until(
        lambda: (
            leaders.look() is not None
            and leaders.since[-1] > gone
            and min(one.decided_until for one in all_schedules(app)) > end
        ),
        seconds=60,
    )
    fleet.stop()

    check_each_slot_made_one_run(app, begin, end)
    gaps = [next(one for one in leaders.since if one > at) - at for at, has_standby in disturbed if has_standby]
    assert gaps
    assert max(gaps) <= REPLACED_WITHIN
    late = lateness_under_a_leader(app, begin, end, leaders.since)
    print(
        f"{len(disturbed)} disturbances, {(end - begin).seconds * COUNT} slots, latest {late}, longest gap {max(gaps)}"
    )
    assert late <= LATE


def disturb(
    app: App, fleet: Fleet, leaders: Leaders, *, until: datetime, frozen_for: int
) -> list[tuple[datetime, bool]]:
    """Kill the leader every five seconds, but once freeze it instead; when it was gone, and was there a standby."""
    disturbed: list[tuple[datetime, bool]] = []
    frozen: tuple[int, float] | None = None
    next_at = time.monotonic() + 2
    while moment(app) < until or frozen:
        current = leaders.look()
        if frozen and time.monotonic() > frozen[1]:
            fleet.send(frozen[0], signal.SIGCONT)
            frozen = None
        if current is not None and time.monotonic() > next_at and moment(app) < until:
            next_at = time.monotonic() + 5
            pid = leaders.pid
            if frozen and frozen[0] == pid:
                continue
            disturbed.append((moment(app), fleet.has_standby(pid)))
            if len(disturbed) == 1:
                frozen = (pid, time.monotonic() + frozen_for)
                fleet.send(pid, signal.SIGSTOP)
            else:
                fleet.send(pid, signal.SIGKILL)
                fleet.fill(3)
        time.sleep(0.05)
    return disturbed


def all_schedules(app: App) -> list[schedules.ScheduleRecord]:
    with app.database.read() as connection:
        return schedules.list_schedules(connection)


def check_each_slot_made_one_run(app: App, begin: datetime, end: datetime) -> None:
    expected = {begin + n * SECOND for n in range((end - begin) // SECOND + 1)}
    with app.database.read() as connection:
        slots = connection.execute(
            select(JobScheduleSlot.schedule, JobScheduleSlot.slot_at, JobScheduleSlot.state, JobScheduleSlot.run_id)
            .where(JobScheduleSlot.slot_at.between(begin, end))
        ).all()  # fmt: skip
        runs = connection.execute(
            select(JobRun.schedule, JobRun.scheduled_for, func.count())
            .where(JobRun.scheduled_for.between(begin, end))
            .group_by(JobRun.schedule, JobRun.scheduled_for)
        ).all()
    wanted = {(f"tick-{n}", one) for n in range(COUNT) for one in expected}
    assert {state for _, _, state, _ in slots} == {"fired"}
    assert {(name, at) for name, at, _, _ in slots} == wanted
    assert {(name, at) for name, at, _ in runs} == wanted
    assert {number for _, _, number in runs} == {1}


def lateness_under_a_leader(app: App, begin: datetime, end: datetime, since: list[datetime]) -> timedelta:
    """The longest from a slot, or from when a leader was back if that is later, to its run."""
    with app.database.read() as connection:
        rows = connection.execute(
            select(JobScheduleSlot.slot_at, JobScheduleSlot.decided_at)
            .where(JobScheduleSlot.slot_at.between(begin, end))
        ).all()  # fmt: skip
    longest = timedelta(0)
    for slot_at, decided_at in rows:
        led_since = since[max(0, bisect_right(since, decided_at) - 1)]
        longest = max(longest, decided_at - max(slot_at, led_since))
    return longest
