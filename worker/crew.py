"""The worker processes of one supervisor: born, heard, asked for a sign of life, told to stop, mourned.

The crew knows no seats and no generations' order: the supervisor decides who is started and who must go.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress

from jobs.clock import Clock
from worker.assignment import OVER_LIMIT, SHUTDOWN_LIMIT, SILENT, ZYGOTE_DIED, Order, Orphan
from worker.control import Control
from worker.generation import Born, Exited, Generation
from worker.marks import NEVER, MarksTable
from worker.member import Member, Stage
from worker.orphans import Orphans
from worker.plan import Plan

_log = logging.getLogger("jobs.supervisor")

LATE_SECONDS = 0.5
"""A run marked as performing so long after its hard limit has outlived its process's watchdog. Source: decision;
the watchdog is late by milliseconds."""
MARKS_SECONDS = 0.25
"""How often the marks are looked at for such runs while one is near; some 20 µs a process."""
MARKS_REST_SECONDS = 2.0
"""How often while none is. Source: decision; that of the pings."""
LAST_SIGN_SECONDS = 2.0
"""How long a process whose zygote died may take to be seen dead, after we have killed it."""
ASLEEP_SECONDS = 5.0
"""A supervisor that was not run for so long forgives silence: the machine may have slept as a whole."""


class Crew:
    """Processes by name. ``on_ready``, ``on_leaving`` and ``on_gone`` tell the supervisor."""

    def __init__(
        self,
        plan: Plan,
        clock: Clock,
        *,
        on_ready: Callable[[Member], None],
        on_leaving: Callable[[Member], None],
        on_worn: Callable[[Member], None],
        on_gone: Callable[[Member, str | None], None],
    ) -> None:
        self._plan = plan
        self._clock = clock
        self._on_ready = on_ready
        self._on_leaving = on_leaving
        self._on_worn = on_worn
        self._on_gone = on_gone
        # Room for a second set while the first is replaced, and for those that take long to leave.
        self.marks = MarksTable(max(16, plan.processes * 4))
        self.orphans = Orphans()
        self.members: dict[str, Member] = {}
        self._born = 0
        self._host = "".join(c for c in socket.gethostname() if c.isalnum() or c in "-._")[:48] or "host"
        self._next_ping = clock.monotonic() + plan.ping_every
        self._looked = clock.monotonic()
        self._next_marks = self._looked

    def __iter__(self) -> Iterator[Member]:
        return iter(list(self.members.values()))

    def __len__(self) -> int:
        return len(self.members)

    def start(self, seat: int, generation: Generation) -> Member | None:
        """A new process for the seat; None when it cannot be started now."""
        slot = self._free_slot()
        if slot is None:
            return None
        self.marks.reset(slot)
        self._born += 1
        name = f"{self._host}/{os.getpid()}/{slot}.{self._born}-{secrets.token_hex(4)}"
        none_can_bury = not any(member.ready and not member.is_leaving for member in self)
        order = Order(
            name=name,
            slot=slot,
            generation=generation.number,
            imports=generation.imports,
            settings=self._plan.settings,
            orphans=self.orphans.take(name) if none_can_bury else (),
            target=generation.target,
            metrics_folder=self._plan.metrics_folder,
        )
        ours, theirs = socket.socketpair()
        with theirs:
            if not generation.start(order, theirs):
                ours.close()
                self.orphans.process_gone(name)
                return None
        member = Member(name, slot, seat, generation, Control(ours), started=self._clock.monotonic())
        member.pid = generation.spawned_pid(name)
        self.members[name] = member
        return member

    def hear(self, member: Member) -> None:
        """Take in what the process has said."""
        before, was_worn = member.stage, member.worn
        self._listen(member)
        if before is Stage.STARTING and member.ready is not None:
            _log.info("process ready", extra=_who(member))
            self._on_ready(member)
        if member.stage is Stage.DRAINING and before is not Stage.DRAINING:
            _log.info("process is to be replaced", extra={**_who(member), "why": member.why_draining})
            self._on_leaving(member)

        if member.worn and not was_worn:
            _log.info("process is to be replaced", extra={**_who(member), "why": member.worn})
            self._on_worn(member)

    def learn(self, generation: Generation) -> None:
        """Take in what the generation has seen of its processes."""
        for news in generation.news():
            member = self.members.get(news.name)
            match news:
                case Born(pid=pid) if member is not None:
                    member.pid = pid
                case Exited(status=status, why=why) if member is not None:
                    self._gone(member, f"not started: {why}" if status is None else _cause(status), status)

    def give_up(self, generation: Generation) -> None:
        """The zygote is dead, so its processes are or will be, and nobody reports their exits: see to it."""
        for member in self:
            if member.generation is generation and member.given_up is None:
                member.given_up = self._clock.monotonic() + LAST_SIGN_SECONDS
                self.kill(member, ZYGOTE_DIED)

    def stop(self, member: Member, seconds: float) -> None:
        """Tell it to finish what it has within so many seconds; kill it a little later."""
        member.stage = Stage.STOPPING
        member.control.send(do="stop", seconds=seconds)
        member.kill_no_later_than(self._clock.monotonic() + seconds + self._plan.kill_after)

    def drain(self, member: Member) -> None:
        """Tell it to finish what it has, in its own time, and leave."""
        member.stage = Stage.DRAINING
        member.control.send(do="drain")

    def stop_now(self, member: Member) -> None:
        member.stage = Stage.STOPPING
        member.control.send(do="stop_now")
        member.kill_no_later_than(self._clock.monotonic() + self._plan.kill_now_after)

    def kill(self, member: Member, why: str) -> None:
        member.killed = member.killed or why
        if member.pid is None:  # Its zygote was told to make it and does not: it hangs, or is dead already.
            member.generation.kill()
        else:
            with suppress(ProcessLookupError):
                os.kill(member.pid, signal.SIGKILL)

    def look_after(self) -> None:
        """What time demands: pings, kills, orphans to hand out."""
        now = self._clock.monotonic()
        slept, self._looked = now - self._looked > ASLEEP_SECONDS, now
        if now >= self._next_ping:
            self._next_ping = now + self._plan.ping_every
            for member in self:
                if member.asked is None or slept:
                    member.asked = now
                member.control.send(do="ping")
        look_at_marks = now >= self._next_marks and not slept
        if look_at_marks or slept:
            self._next_marks = now + self._marks_rest(now)
        for member in self:
            member.control.flush()
            if look_at_marks and self.marks.over(member.slot, now - LATE_SECONDS):
                if not member.killed:
                    _log.error("process cannot end a run that is over its limit", extra=_who(member))
                self.kill(member, OVER_LIMIT)
            self._see_to(member, now)
        self._hand_out_orphans()

    def _marks_rest(self, now: float) -> float:
        """For how long no run can be over its limit: none that is performed, and none that begins meanwhile."""
        limits = [self.marks.nearest(member.slot) for member in self]
        until_late = min(limits, default=NEVER) + LATE_SECONDS - now
        return max(MARKS_SECONDS, min(MARKS_REST_SECONDS, self._plan.shortest_limit, until_late))

    def next_look(self) -> float:
        """When ``look_after`` has to be called again: a monotonic moment."""
        moments = [self._next_ping, self._next_marks]
        for member in self:
            if member.given_up is not None or member.control.has_unsent:
                return self._clock.monotonic() + 0.02
            if member.kill_at is not None:
                moments.append(member.kill_at)
        return min(moments)

    def _see_to(self, member: Member, now: float) -> None:
        if member.given_up is not None:
            if self._shows_no_life(member) or now >= member.given_up:
                self._gone(member, ZYGOTE_DIED, None)
            return
        if member.kill_at is not None and now >= member.kill_at:
            member.kill_at = now + 1.0  # Once more, should its id have come too late for this one.
            self.kill(member, SHUTDOWN_LIMIT)
            return
        limit = self._plan.start_limit if member.heard is None else self._plan.answer_limit
        if limit is not None and member.asked is not None and now - member.asked > limit:
            if not member.killed:
                _log.error("process does not answer", extra={**_who(member), "seconds": round(now - member.asked)})
            self.kill(member, SILENT)

    def _hand_out_orphans(self) -> None:
        if not len(self.orphans):
            return
        able = [member for member in self if member.ready is not None and not member.killed]
        # One that stays rather than one that leaves, one that answers rather than one that owes an answer.
        able.sort(key=lambda member: (member.is_leaving, member.asked is not None, -(member.heard or 0.0)))
        if able:
            line = able[0].control
            self.orphans.tell(able[0].name, lambda one: line.send(do="bury", orphans=[one.as_message()]))

    def _gone(self, member: Member, cause: str, status: int | None) -> None:
        self._listen(member)  # Its last words: it may have buried somebody.
        clean = status == 0 and member.is_leaving and not member.killed
        del self.members[member.name]
        member.control.close()
        self.orphans.process_gone(member.name)
        if not clean:
            cause = member.killed or cause
            performing, ended = self.marks.read(member.slot)
            over = self.marks.over(member.slot, self._clock.monotonic())
            # One that was never ready has claimed nothing, so that a crash loop piles up no orphans.
            if member.ready is not None or performing or ended:
                self.orphans.add(Orphan(member.name, tuple(performing), tuple(ended), cause, tuple(over)))
        self._on_gone(member, None if clean else cause)

    def _listen(self, member: Member) -> None:
        for said in member.control.receive():
            member.heard, member.asked = self._clock.monotonic(), None
            match said:
                case {"say": "ready"} if member.ready is None:
                    member.ready = member.heard
                    if member.stage is Stage.STARTING:
                        member.stage = Stage.READY
                case {"say": "draining", "why": why} if not member.is_leaving:
                    member.stage, member.why_draining = Stage.DRAINING, str(why)
                case {"say": "replace", "why": why}:
                    member.worn = str(why)
                case {"say": "roll", "asked": str(moment)}:
                    member.roll_asked = max(member.roll_asked, moment)
                case {"say": "buried", "name": str(name)}:
                    self.orphans.buried(name)
                case {"say": "pong" | "progress", **progress}:
                    member.progress.update(progress)

    def _shows_no_life(self, member: Member) -> bool:
        self._listen(member)
        if member.control.closed:
            return True
        try:
            if member.pid is not None:
                os.kill(member.pid, 0)
        except ProcessLookupError:
            return True
        return False

    def _free_slot(self) -> int | None:
        taken = {member.slot for member in self}
        return next((slot for slot in range(self.marks.slots) if slot not in taken), None)


def _cause(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit {status}"


def _who(member: Member) -> dict[str, object]:
    return {"worker": member.name, "worker_pid": member.pid, "seat": member.seat}
