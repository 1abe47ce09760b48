"""Rolling restart: replaces the process of each slot by one with new code, one slot after another. The old process
stops when the new one is ready.

Except for processes that die, there are always as many ready processes as slots. If the new code cannot be imported,
or its first processes do not become ready, the old code stays.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence

from jobs.clock import Clock
from worker.supervisor.file_watch import POLL_SECONDS, Watch
from worker.supervisor.generation import Generation
from worker.supervisor.plan import WorkerPlan
from worker.supervisor.process_handle import ProcessHandle
from worker.supervisor.slot import ProcessSlot

_log = logging.getLogger("jobs.supervisor")

MAX_DEATHS = 3
"""Deaths of the first new processes, before they are ready, after which the new code is given up. Source: decision.
"""


class RollingRestart:
    """``is_over`` when every slot has new code, or when the new code was given up (``has_failed``)."""

    def __init__(self, generation: Generation, slots: Sequence[ProcessSlot]) -> None:
        self.generation = generation
        self.is_over = False
        self.has_failed = False
        self.is_proved = False
        """A process of the new code has become ready: from now on all new processes run the new code."""
        self._slots = slots
        self._deaths = 0

    def step(self, start: Callable[[ProcessSlot, Generation], ProcessHandle | None]) -> None:
        """Start the next successor, unless one is starting. Call it whenever something has changed."""
        if self.is_over or not self.generation.can_start:
            return
        for slot in self._slots:
            has_new = slot.handle is not None and slot.handle.generation is self.generation
            if has_new and slot.handle is not None and slot.handle.ready is not None:
                continue
            # An empty slot gets one too: old code that dies as it starts must not prevent the new code.
            if not has_new and slot.successor is None:
                slot.successor = start(slot, self.generation)
            return
        self.is_over = True
        _log.info("Rolling restart done", extra={"generation": self.generation.number})

    def died_early(self) -> None:
        """A process of the new code died before it was ready."""
        self._deaths += 1
        if self._deaths >= MAX_DEATHS and not self.is_proved:
            self.fail("its first processes do not become ready")

    def fail(self, why: str) -> None:
        self.is_over = self.has_failed = True
        _log.error(
            "Rolling restart given up, the old code stays",
            extra={"generation": self.generation.number, "why": why},
        )


class RollRequests:
    """Requests for a rolling restart other than a signal: changed files, and operators through the ledger."""

    def __init__(self, plan: WorkerPlan, clock: Clock) -> None:
        self._clock = clock
        self._watch = Watch(plan.watch) if plan.watch else None
        self._watch_at = 0.0
        self._rolled_for = ""

    def has_new(self, handles: Iterable[ProcessHandle]) -> bool:
        """Whether there is a new request."""
        return self._has_new_code() or self._is_asked_in_the_ledger(handles)

    def _has_new_code(self) -> bool:
        now = self._clock.monotonic()
        if self._watch is None or now < self._watch_at:
            return False
        self._watch_at = now + POLL_SECONDS
        return self._watch.has_changed()

    def _is_asked_in_the_ledger(self, handles: Iterable[ProcessHandle]) -> bool:
        """Whether a process reports a request newer than the last; several processes may report the same one."""
        latest = max((handle.roll_asked for handle in handles), default="")
        is_new, self._rolled_for = latest > self._rolled_for, max(latest, self._rolled_for)
        return is_new
