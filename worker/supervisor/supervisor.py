"""Supervisor: starts, watches, replaces and stops worker processes. Single-threaded; it does not import the
application.

    run ─ poll ─ generations' events ─ processes' messages ─ signals ─ what is due ──┐
           └──────────────────────────────────────────────────────────────────────── ┘

SIGTERM or SIGINT stops gracefully; a second one stops at once; a third one kills. SIGHUP, or an operator's request
in the ledger, which its processes report, starts a rolling restart with the present code.
"""

from __future__ import annotations

import logging
import select
import signal
import sys

from jobs.clock import Clock
from worker.supervisor.generation import Generation, GenerationStage
from worker.supervisor.generations import Generations
from worker.supervisor.plan import WorkerPlan
from worker.supervisor.process_group import ProcessGroup
from worker.supervisor.process_handle import ProcessHandle
from worker.supervisor.restart import BackOff
from worker.supervisor.rolling_restart import RollingRestart, RollRequests
from worker.supervisor.signals import Signals
from worker.supervisor.slot import ProcessSlot

_log = logging.getLogger("jobs.supervisor")

IMPORT_FAILED = 2
NOT_STARTED_SECONDS = 1.0
"""The wait before the next try when a process could not be requested."""


class Supervisor:
    """``run`` returns the exit code: 0 after a graceful stop, 2 when the application cannot be imported at
    start.
    """

    def __init__(self, plan: WorkerPlan, clock: Clock, *, debug: bool = False) -> None:
        self._plan = plan
        self._clock = clock
        self._debug = debug
        self._group = ProcessGroup(
            plan,
            clock,
            on_ready=self._on_ready,
            on_leaving=self._on_leaving,
            on_recycle=self._on_recycle,
            on_gone=self._on_gone,
        )
        self._slots = [ProcessSlot(number, BackOff(clock.rng)) for number in range(plan.processes)]
        self._generations = Generations(plan, clock, self._group)
        self._rolling: RollingRestart | None = None
        self._roll_again = False
        self._roll_requests = RollRequests(plan, clock)
        self._restarts = 0
        self._replaced = 0
        self._stops = 0
        self._exit_code: int | None = None
        self._looked = clock.monotonic()

    def run(self) -> int:
        """Serve until stopped. Call it in the main thread, since it handles signals."""
        with Signals(stop=(signal.SIGTERM, signal.SIGINT), roll=signal.SIGHUP, wake=signal.SIGCHLD) as signals:
            self._generations.current = self._generations.make()
            while self._exit_code is None:
                self._wait(signals)
                self._looked = self._clock.monotonic()
                self._read_generations()
                for handle in self._group:
                    self._group.read_messages(handle)
                for _ in range(signals.stops_asked()):
                    self._stop()
                if signals.roll_asked() or self._roll_requests.has_new(self._group):
                    self._roll()
                self._group.do_what_is_due()
                self._fill_slots()
                self._generations.close_unused(but=self._rolling.generation if self._rolling else None)
                if self._stops and not len(self._group):
                    self._exit_code = 0
        self._close()
        return self._exit_code

    def state(self) -> dict[str, object]:
        """The state for a health endpoint: plain data, no arguments of runs, ages in seconds. Thread-safe."""
        now, current = self._clock.monotonic(), self._generations.current
        ready = [handle for handle in self._group if handle.ready is not None and not handle.is_leaving]
        return {
            "processes": self._plan.processes,
            "looked_seconds_ago": now - self._looked,
            "ready": len(ready),
            "restarts": self._restarts,
            "replaced": self._replaced,
            "crash_looping": sum(slot.back_off.is_looping for slot in self._slots),
            "generation": current.number if current else None,
            "is_rolling": self._rolling is not None,
            "is_stopping": self._stops > 0,
            "dead_processes": len(self._group.dead_processes),
            "members": [handle.state(now) for handle in self._group],
        }

    # Waiting

    def _wait(self, signals: Signals) -> None:
        poll = select.poll()
        poll.register(signals, select.POLLIN)
        lines = [generation.control for generation in self._generations]
        for line in lines + [handle.control for handle in self._group]:
            if not line.closed:
                poll.register(line, select.POLLIN | (select.POLLOUT if line.has_unsent else 0))
        poll.poll(max(0.0, self._next_moment() - self._clock.monotonic()) * 1000 + 1)
        signals.drain()

    def _next_moment(self) -> float:
        moments = [self._group.next_look()]
        if not self._stops:
            moments += [slot.start_at for slot in self._slots if self._is_due(slot, at_any_time=True)]
            if self._generations.current is None:
                moments.append(self._generations.current_at)
        return min(moments)

    # Generations of code

    def _read_generations(self) -> None:
        for generation in self._generations.read_events():
            if generation.can_start:
                self._generations.imported(generation)
            elif generation.stage is GenerationStage.FAILED:
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
            self._generations.lost("Application cannot be imported any more", uptime=0.0)

    def _zygote_died(self, generation: Generation) -> None:
        self._group.give_up(generation)
        if self._rolling is not None and generation is self._rolling.generation:
            self._rolling.fail("its zygote died")
        if generation is self._generations.current:
            self._generations.lost("Zygote died", uptime=self._clock.monotonic() - self._generations.current_at)

    # Slots

    def _is_due(self, slot: ProcessSlot, *, at_any_time: bool = False) -> bool:
        if slot.handle is not None or not self._can_start():
            return False
        return at_any_time or self._clock.monotonic() >= slot.start_at

    def _fill_slots(self) -> None:
        if self._stops:
            return
        self._generations.renew()
        for slot in self._slots:
            if slot.handle is None and slot.successor is not None:
                slot.take_over()
            current = self._generations.current
            if self._is_due(slot) and current is not None:
                slot.handle = self._start(slot, current)
            elif self._rolling is None and self._needs_successor(slot) and current is not None:
                slot.successor = self._start(slot, current)
        self._step_rolling()

    def _needs_successor(self, slot: ProcessSlot) -> bool:
        is_due = slot.handle is not None and bool(slot.handle.recycle_reason) and slot.successor is None
        return is_due and self._can_start()

    def _can_start(self) -> bool:
        """Whether the current code has been imported."""
        current = self._generations.current
        return current is not None and current.can_start

    def _start(self, slot: ProcessSlot, generation: Generation) -> ProcessHandle | None:
        handle = None
        if self._clock.monotonic() >= slot.start_at:
            handle = self._group.start(slot.number, generation)
            if handle is None:
                slot.start_at = self._clock.monotonic() + NOT_STARTED_SECONDS
        return handle

    def _on_ready(self, handle: ProcessHandle) -> None:
        if self._stops:
            return
        if self._rolling is not None and handle.generation is self._rolling.generation:
            self._rolling.is_proved = True
            self._generations.current = handle.generation
        slot = self._slots[handle.slot]
        if slot.successor is handle:
            before = slot.take_over()
            if before is not None:
                # A process that is replaced for its age may finish its runs without haste.
                if before.recycle_reason and before.generation is handle.generation:
                    self._group.drain(before)
                else:
                    self._group.stop(before, self._plan.shutdown)

    def _on_recycle(self, handle: ProcessHandle) -> None:
        self._replaced += 1

    def _on_leaving(self, handle: ProcessHandle) -> None:
        slot = self._slots[handle.slot]
        uptime = handle.seconds_ready(self._clock.monotonic())
        if slot.forget(handle):
            # Replace it at once, unless every process leaves as soon as it is ready.
            slot.start_at = self._clock.monotonic() + (slot.back_off.died(uptime) if uptime < 1.0 else 0.0)

    def _on_gone(self, handle: ProcessHandle, cause: str | None) -> None:
        slot = self._slots[handle.slot]
        uptime = handle.seconds_ready(self._clock.monotonic())
        was_successor = slot.successor is handle
        facts: dict[str, object] = {"worker": handle.name, "worker_pid": handle.pid, "slot": slot.number}
        had_slot = slot.forget(handle)
        if cause is None:
            _log.info("Process stopped", extra=facts)
            return
        if self._stops or not (had_slot or was_successor):
            _log.warning("Process died", extra={**facts, "cause": cause})
            return
        self._restarts += 1
        looped = slot.back_off.is_looping
        wait = slot.back_off.died(uptime)
        slot.start_at = self._clock.monotonic() + wait
        facts = {**facts, "cause": cause, "restart_in_seconds": round(wait, 2)}
        _log.warning("Process died", extra=facts)
        if slot.back_off.is_looping and not looped:
            _log.error("Process is crash-looping", extra={**facts, "deaths": slot.back_off.deaths})
        is_new = self._rolling is not None and handle.generation is self._rolling.generation
        if is_new and self._rolling is not None and handle.ready is None:
            self._rolling.died_early()

    # Signals

    def _roll(self) -> None:
        if self._stops:
            return
        if self._rolling is not None:
            self._roll_again = True
            return
        _log.info("Rolling restart started", extra={"processes": self._plan.processes})
        self._rolling = RollingRestart(self._generations.make(), self._slots)

    def _step_rolling(self) -> None:
        if self._rolling is None:
            return
        self._rolling.step(self._start)
        if not self._rolling.is_over:
            return
        if self._rolling.has_failed:
            for slot in self._slots:
                if slot.successor is not None:
                    self._group.stop_now(slot.successor)
                    slot.successor = None
                slot.back_off.reset()
        self._rolling = None
        if self._roll_again:
            self._roll_again = False
            self._roll()

    def _stop(self) -> None:
        self._stops += 1
        how = {1: "Stopping", 2: "Stopping now"}.get(self._stops, "Killing processes")
        _log.info(how, extra={"processes": len(self._group), "seconds": self._plan.shutdown})
        for handle in self._group:
            if self._stops == 1:
                self._group.stop(handle, self._plan.shutdown)
            elif self._stops == 2:
                self._group.stop_now(handle)
            else:
                self._group.kill(handle, "killed: third signal")

    def _close(self) -> None:
        self._generations.close()
        if len(self._group.dead_processes):
            _log.warning(
                "Attempts of dead processes wait for their leases to expire",
                extra={"processes": self._group.dead_processes.names()},
            )
        self._group.running_table.close()
