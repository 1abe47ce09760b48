"""How many runs a fault test enqueues, in what time, and on how many threads."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass
class Load:
    """The number of runs, the seconds they are enqueued in, and the random generator of failures and kills."""

    runs: int
    seconds: float
    processes: int = 4
    threads: int = 4
    is_timed: bool = True
    """Whether time limits, and the number of attempts that faults explain, are checked; else every limit is minutes."""
    seed: int = field(default_factory=lambda: random.SystemRandom().randrange(10**6))

    def __post_init__(self) -> None:
        print(f"\nseed {self.seed}: {self.runs} runs in {self.seconds:g} s, {self.processes} x {self.threads}")
        self.rng = random.Random(self.seed)

    def within(self, seconds: float) -> float:
        """The limit for something that should take at most ``seconds``."""
        return seconds if self.is_timed else 120.0


def selects_full(expression: str) -> bool:
    """Whether tests that this marker expression selects have their full load."""
    return expression.startswith("faults")
