"""Starts, watches, replaces and stops worker processes. Single-threaded; it imports nothing of the
application.

    run ─ poll ─ generations' news ─ processes' words ─ signals ─ what time demands ─┐
           └──────────────────────────────────────────────────────────────────────── ┘

SIGTERM and SIGINT: graceful stop; a second one: now; a third: kill. SIGHUP, or an operator's request in the
ledger, which its processes hear of: rolling restart with the code of now.
"""

from __future__ import annotations

import logging
import select
import signal
import sys

from jobs.clock import Clock
from worker.crew import Crew
from worker.generation import Generation, Stage
from worker.generations import Generations
from worker.member import Member
from worker.plan import Plan
from worker.restart import BackOff
from worker.rolling import RollingRestart, RollRequests
from worker.seat import Seat
from worker.signals import Signals

_log = logging.getLogger("jobs.supervisor")

IMPORT_FAILED = 2
NOT_STARTED_SECONDS = 1.0
"""Wait before trying again when a process could not even be asked for."""


class Supervisor:
    """``run`` returns the exit code: 0 after a graceful stop, 2 when the application cannot be imported at
    start.
    """

    def __init__(self, plan: Plan, clock: Clock, *, debug: bool = False) -> None:
        self._plan = plan
        self._clock = clock
        self._debug = debug
        self._crew = Crew(
            plan,
            clock,
            on_ready=self._on_ready,
            on_leaving=self._on_leaving,
            on_worn=self._on_worn,
            on_gone=self._on_gone,
        )
        self._seats = [Seat(number, BackOff(clock.rng)) for number in range(plan.processes)]
        self._generations = Generations(plan, clock, self._crew)
        self._rolling: RollingRestart | None = None
        self._roll_again = False
        self._roll_requests = RollRequests(plan, clock)
        self._restarts = 0
        self._replaced = 0
        self._stops = 0
        self._exit_code: int | None = None
        self._looked = clock.monotonic()

    def run(self) -> int:
        """Serve until stopped. In the main thread, for it takes the signals."""
        with Signals(stop=(signal.SIGTERM, signal.SIGINT), roll=signal.SIGHUP, wake=signal.SIGCHLD) as signals:
            self._generations.current = self._generations.make()
            while self._exit_code is None:
                self._wait(signals)
                self._looked = self._clock.monotonic()
                self._hear_generations()
                for member in self._crew:
                    self._crew.hear(member)
                for _ in range(signals.stops_asked()):
                    self._stop()
                if signals.roll_asked() or self._roll_requests.has_new(self._crew):
                    self._roll()
                self._crew.look_after()
                self._fill_seats()
                self._generations.let_go(but=self._rolling.generation if self._rolling else None)
                if self._stops and not len(self._crew):
                    self._exit_code = 0
        self._close()
        return self._exit_code

    def state(self) -> dict[str, object]:
        """What a health endpoint shows: plain data, no run's arguments, ages in seconds. From any thread."""
        now, current = self._clock.monotonic(), self._generations.current
        ready = [member for member in self._crew if member.ready is not None and not member.is_leaving]
        return {
            "processes": self._plan.processes,
            "looked_seconds_ago": now - self._looked,
            "ready": len(ready),
            "restarts": self._restarts,
            "replaced": self._replaced,
            "crash_looping": sum(seat.back_off.is_looping for seat in self._seats),
            "generation": current.number if current else None,
            "is_rolling": self._rolling is not None,
            "is_stopping": self._stops > 0,
            "orphans": len(self._crew.orphans),
            "members": [member.state(now) for member in self._crew],
        }

    # Waiting

    def _wait(self, signals: Signals) -> None:
        poll = select.poll()
        poll.register(signals, select.POLLIN)
        lines = [generation.control for generation in self._generations]
        for line in lines + [member.control for member in self._crew]:
            if not line.closed:
                poll.register(line, select.POLLIN | (select.POLLOUT if line.has_unsent else 0))
        poll.poll(max(0.0, self._next_moment() - self._clock.monotonic()) * 1000 + 1)
        signals.drain()

    def _next_moment(self) -> float:
        moments = [self._crew.next_look()]
        if not self._stops:
            moments += [seat.start_at for seat in self._seats if self._is_due(seat, at_any_time=True)]
            if self._generations.current is None:
                moments.append(self._generations.current_at)
        return min(moments)

    # Generations of code

    def _hear_generations(self) -> None:
        for generation in self._generations.hear():
            if generation.can_start:
                self._generations.imported(generation)
            elif generation.stage is Stage.FAILED:
                self._import_failed(generation)
            else:
                self._zygote_died(generation)

    def _import_failed(self, generation: Generation) -> None:
        if self._stops:
            return
        sys.stderr.write(f"error: {generation.failure}\n")
        if self._debug and generation.traceback:
            sys.stderr.write(generation.traceback)
        sys.stderr.flush()
        if self._rolling is not None and generation is self._rolling.generation:
            self._rolling.fail(generation.failure)
        elif generation.number == 1:
            self._exit_code = IMPORT_FAILED
        else:
            self._generations.lost("application cannot be imported any more", lived=0.0)

    def _zygote_died(self, generation: Generation) -> None:
        self._crew.give_up(generation)
        if self._rolling is not None and generation is self._rolling.generation:
            self._rolling.fail("its zygote died")
        if generation is self._generations.current:
            self._generations.lost("zygote died", lived=self._clock.monotonic() - self._generations.current_at)

    # Seats

    def _is_due(self, seat: Seat, *, at_any_time: bool = False) -> bool:
        if seat.member is not None or not self._can_start():
            return False
        return at_any_time or self._clock.monotonic() >= seat.start_at

    def _fill_seats(self) -> None:
        if self._stops:
            return
        self._generations.renew()
        for seat in self._seats:
            if seat.member is None and seat.successor is not None:
                seat.take_over()
            current = self._generations.current
            if self._is_due(seat) and current is not None:
                seat.member = self._start(seat, current)
            elif self._rolling is None and self._is_worn(seat) and current is not None:
                seat.successor = self._start(seat, current)
        self._step_rolling()

    def _is_worn(self, seat: Seat) -> bool:
        is_worn = seat.member is not None and bool(seat.member.worn) and seat.successor is None
        return is_worn and self._can_start()

    def _can_start(self) -> bool:
        """Whether the current code has been imported."""
        current = self._generations.current
        return current is not None and current.can_start

    def _start(self, seat: Seat, generation: Generation) -> Member | None:
        member = None
        if self._clock.monotonic() >= seat.start_at:
            member = self._crew.start(seat.number, generation)
            if member is None:
                seat.start_at = self._clock.monotonic() + NOT_STARTED_SECONDS
        return member

    def _on_ready(self, member: Member) -> None:
        if self._stops:
            return
        if self._rolling is not None and member.generation is self._rolling.generation:
            self._rolling.is_proved = True
            self._generations.current = member.generation
        seat = self._seats[member.seat]
        if seat.successor is member:
            before = seat.take_over()
            if before is not None:
                # Worn is not in a hurry: what it performs may take its time.
                if before.worn and before.generation is member.generation:
                    self._crew.drain(before)
                else:
                    self._crew.stop(before, self._plan.shutdown)

    def _on_worn(self, member: Member) -> None:
        self._replaced += 1

    def _on_leaving(self, member: Member) -> None:
        seat = self._seats[member.seat]
        lived = member.lived(self._clock.monotonic())
        if seat.forget(member):
            # At once, unless it is what every process here does as soon as it lives.
            seat.start_at = self._clock.monotonic() + (seat.back_off.died(lived) if lived < 1.0 else 0.0)

    def _on_gone(self, member: Member, cause: str | None) -> None:
        seat = self._seats[member.seat]
        lived = member.lived(self._clock.monotonic())
        was_successor = seat.successor is member
        facts: dict[str, object] = {"worker": member.name, "worker_pid": member.pid, "seat": seat.number}
        had_seat = seat.forget(member)
        if cause is None:
            _log.info("process stopped", extra=facts)
            return
        if self._stops or not (had_seat or was_successor):
            _log.warning("process died", extra={**facts, "cause": cause})
            return
        self._restarts += 1
        looped = seat.back_off.is_looping
        wait = seat.back_off.died(lived)
        seat.start_at = self._clock.monotonic() + wait
        facts = {**facts, "cause": cause, "restart_in_seconds": round(wait, 2)}
        _log.warning("process died", extra=facts)
        if seat.back_off.is_looping and not looped:
            _log.error("process is crash-looping", extra={**facts, "deaths": seat.back_off.deaths})
        is_new = self._rolling is not None and member.generation is self._rolling.generation
        if is_new and self._rolling is not None and member.ready is None:
            self._rolling.died_early()

    # Signals

    def _roll(self) -> None:
        if self._stops:
            return
        if self._rolling is not None:
            self._roll_again = True
            return
        _log.info("rolling restart", extra={"processes": self._plan.processes})
        self._rolling = RollingRestart(self._generations.make(), self._seats)

    def _step_rolling(self) -> None:
        if self._rolling is None:
            return
        self._rolling.step(self._start)
        if not self._rolling.is_over:
            return
        if self._rolling.has_failed:
            for seat in self._seats:
                if seat.successor is not None:
                    self._crew.stop_now(seat.successor)
                    seat.successor = None
                seat.back_off.reset()
        self._rolling = None
        if self._roll_again:
            self._roll_again = False
            self._roll()

    def _stop(self) -> None:
        self._stops += 1
        how = {1: "stopping", 2: "stopping now"}.get(self._stops, "killing")
        _log.info(how, extra={"processes": len(self._crew), "seconds": self._plan.shutdown})
        for member in self._crew:
            if self._stops == 1:
                self._crew.stop(member, self._plan.shutdown)
            elif self._stops == 2:
                self._crew.stop_now(member)
            else:
                self._crew.kill(member, "killed: third signal")

    def _close(self) -> None:
        self._generations.close()
        if len(self._crew.orphans):
            _log.warning(
                "attempts of dead processes are left to their leases",
                extra={"processes": self._crew.orphans.names()},
            )
        self._crew.marks.close()
