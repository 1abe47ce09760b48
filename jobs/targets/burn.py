"""Error budgets: how much of one is left, and whether it burns too fast. Pure computation.

A target of 99.5 % leaves an error budget of 0.5 % of the runs that end. A burn rate of 1 uses up the budget in exactly
its period. The rules compare a long window, which shows that it matters, with a short one, which shows that it still
goes on. Source: Google's Site Reliability Workbook, chapter 5, "Multiwindow, multi-burn-rate alerts".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

PERIOD = timedelta(days=28)
"""The time that an error budget is for. Source: the workbook; whole weeks, so that each has the same weekends."""
WINDOWS: dict[str, timedelta] = {
    "5m": timedelta(minutes=5),
    "30m": timedelta(minutes=30),
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "3d": timedelta(days=3),
    "28d": PERIOD,
}
"""The windows by name; the last is that of the budget."""
LEAST_DEAD = 2
"""Dead runs in the long window before a budget burns. Source: decision; a single one at night wakes nobody."""


@dataclass(frozen=True, slots=True)
class Rule:
    """The budget burns if it does by more than ``rate`` in the ``long`` window and in the ``short`` one."""

    name: str
    long: str
    short: str
    rate: float
    is_urgent: bool = True


RULES = (
    Rule("fast", "1h", "5m", 14.4),
    Rule("slow", "6h", "30m", 6.0),
    Rule("steady", "3d", "6h", 1.0, is_urgent=False),
)
"""The most urgent first. A budget that burns fast is gone in two days, slowly in five, and steadily in four weeks."""


@dataclass(frozen=True, slots=True)
class Count:
    """How many runs succeeded and how many died."""

    succeeded: int = 0
    dead: int = 0

    @property
    def ended(self) -> int:
        return self.succeeded + self.dead

    def less(self, before: Count) -> Count:
        """What has been counted since ``before``."""
        return Count(max(0, self.succeeded - before.succeeded), max(0, self.dead - before.dead))

    def plus(self, more: Count) -> Count:
        return Count(self.succeeded + more.succeeded, self.dead + more.dead)


@dataclass(frozen=True, slots=True)
class Burn:
    """What ended within a window, and the burn rate there: 1 uses up the budget in its period, 0 nothing of it."""

    window: str
    count: Count
    rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The error budget of a queue or a kind.

    Attributes:
        what: ``queue`` or ``kind``.
        success: the target, as a share.
        is_set: whether an operator set it; else the class declares it.
        since: what ended before this is not counted.
        burns: by the windows of ``WINDOWS``, in their order.
    """

    what: str
    name: str
    success: float
    is_set: bool
    since: datetime
    burns: tuple[Burn, ...]

    @property
    def left(self) -> float:
        """The part of the budget that is left of the last 28 days: 1 all, below 0 more than used up."""
        return 1.0 - self.burns[-1].rate

    def burn(self, window: str) -> Burn:
        """The burn in this window."""
        return next(one for one in self.burns if one.window == window)

    @property
    def broken_rule(self) -> Rule | None:
        """The most urgent rule by which it burns too fast; None if it does not."""
        for rule in RULES:
            long, short = self.burn(rule.long), self.burn(rule.short)
            if long.rate > rule.rate and short.rate > rule.rate and long.count.dead >= LEAST_DEAD:
                return rule
        return None


def burn_of(window: str, count: Count, *, success: float) -> Burn:
    """The burn rate of a window: the share of dead runs, by the share that the target allows."""
    rate = count.dead / count.ended / (1.0 - success) if count.ended else 0.0
    return Burn(window, count, rate)
