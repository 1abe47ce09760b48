"""Generations: the versions of the code that one supervisor runs, each kept until its last process is gone.

One is current, and fills empty slots. After its zygote has died there is no current one until the back-off ends.
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
    """The generations, numbered from 1. The supervisor sets the current one; ``lost`` unsets it."""

    def __init__(self, plan: WorkerPlan, clock: Clock, group: ProcessGroup) -> None:
        self.current: Generation | None = None
        self.current_at = 0.0
        """When the current one became current; without a current one, when to make the next. Monotonic."""
        self._plan = plan
        self._clock = clock
        self._group = group
        self._known: list[Generation] = []
        self._numbered = 0
        self._back_off = BackOff(clock.rng)

    def __iter__(self) -> Iterator[Generation]:
        return iter(list(self._known))

    def make(self) -> Generation:
        """Make a generation of the present code; it begins to import the application."""
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

    def read_events(self) -> Iterator[Generation]:
        """Read the events of all generations; gives each generation whose stage has changed."""
        for generation in self:
            was = generation.stage
            self._group.read_events(generation)
            if generation.stage is not was:
                yield generation

    def imported(self, generation: Generation) -> None:
        """Log that the generation can start processes now."""
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

    def lost(self, what: str, *, uptime: float) -> None:
        """The current generation has failed after ``uptime`` seconds: schedule another after a back-off."""
        wait = self._back_off.died(uptime)
        self.current, self.current_at = None, self._clock.monotonic() + wait
        _log.error(what, extra={"restart_in_seconds": round(wait, 2)})

    def renew(self) -> None:
        """Make a new current generation if there is none and the back-off has ended."""
        if self.current is None and self._clock.monotonic() >= self.current_at:
            self.current = self.make()

    def close_unused(self, *, but: Generation | None) -> None:
        """Close the generations without live processes, except the current one and ``but``, which is about to be
        used."""
        used = {handle.generation for handle in self._group}
        for generation in self:
            if generation not in (self.current, but) and generation not in used:
                generation.close()
                self._known.remove(generation)

    def close(self) -> None:
        for generation in self._known:
            generation.close()
