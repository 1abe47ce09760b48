"""The generations of code of one supervisor, each kept until none of its processes is left.

One is current: empty slots are filled from it. After its zygote has died none is, until it is time for another.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from jobs.clock import Clock
from worker.supervisor.generation import Generation
from worker.supervisor.plan import WorkerPlan
from worker.supervisor.process_group import ProcessGroup
from worker.supervisor.restart import BackOff

_log = logging.getLogger("jobs.supervisor")


class Generations:
    """Numbered from 1. Which is current, the supervisor decides, but for one that is lost."""

    def __init__(self, plan: WorkerPlan, clock: Clock, group: ProcessGroup) -> None:
        self.current: Generation | None = None
        self.current_at = 0.0
        """Since when it serves; with none current, when another is to be made. Monotonic."""
        self._plan = plan
        self._clock = clock
        self._group = group
        self._known: list[Generation] = []
        self._numbered = 0
        self._back_off = BackOff(clock.rng)

    def __iter__(self) -> Iterator[Generation]:
        return iter(list(self._known))

    def make(self) -> Generation:
        """Another, with the code of now; it begins to import."""
        self._numbered += 1
        generation = Generation(
            self._numbered,
            imports=self._plan.imports,
            target=self._plan.target,
            settings=self._plan.settings,
            running_fd=self._group.running_table.fd,
        )
        self._known.append(generation)
        return generation

    def hear(self) -> Iterator[Generation]:
        """Take in what they say of their processes; gives those that have come to another stage, one by one."""
        for generation in self:
            was = generation.stage
            self._group.learn(generation)
            if generation.stage is not was:
                yield generation

    def imported(self, generation: Generation) -> None:
        """It can start processes now."""
        facts = {"generation": generation.number, "modules": list(generation.imports)}
        if generation.left:
            _log.warning(
                "Application cannot be forked, each process imports it",
                extra={**facts, "because": generation.left},
            )
        else:
            _log.info("Application imported", extra=facts)
        if generation is self.current:
            self.current_at = self._clock.monotonic()

    def lost(self, what: str, *, lived: float) -> None:
        """The current one is of no use, having served for so many seconds: another is made after a wait."""
        wait = self._back_off.died(lived)
        self.current, self.current_at = None, self._clock.monotonic() + wait
        _log.error(what, extra={"restart_in_seconds": round(wait, 2)})

    def renew(self) -> None:
        """Make another current if there is none, and it is time."""
        if self.current is None and self._clock.monotonic() >= self.current_at:
            self.current = self.make()

    def let_go(self, *, but: Generation | None) -> None:
        """Close those of which no process lives; not the current one, nor ``but``, which is to be."""
        used = {handle.generation for handle in self._group}
        for generation in self:
            if generation not in (self.current, but) and generation not in used:
                generation.close()
                self._known.remove(generation)

    def close(self) -> None:
        for generation in self._known:
            generation.close()
