"""The workflows of the fault suite: trees of gathers whose runs wait for a signal, in batches with callbacks."""

from __future__ import annotations

import random
from typing import Any

from jobs import Job
from tests.faults.work import SOON

GO = "go"
"""The signal that each run with children waits for; its payload is a number."""


class FaultFlowPart(Job, queue="load", retry=SOON):
    """A leaf. Fails in a few of its attempts."""

    seed: int
    failing: float = 0.02

    def perform(self) -> int:
        if random.Random(f"{self.seed}:{self.run.id}:{self.run.attempt}").random() < self.failing:
            raise OSError("the fault suite's own")
        return 1


class FaultFlowTree(Job, queue="load", retry=SOON):
    """Waits for its signal, gathers ``widths[0]`` children, and returns the leaves and the payloads below it, added."""

    seed: int
    widths: tuple[int, ...]

    def perform(self) -> list[int]:
        payload = self.run.wait_for(GO)
        width, *rest = self.widths
        if not rest:
            return [sum(self.run.gather("parts", [FaultFlowPart(seed=self.seed) for _ in range(width)])), payload]
        below: list[Any] = self.run.gather("below", [FaultFlowTree(seed=self.seed, widths=rest) for _ in range(width)])
        return [sum(one[0] for one in below), payload + sum(one[1] for one in below)]


class FaultFlowTold(Job, queue="load", retry=SOON):
    """A callback."""

    what: str

    def perform(self) -> list[Any]:
        return [self.what, str(self.run.batch.id), self.run.batch.generation]
