"""Breaker: after so many failures of one kind within a time, runs are parked instead of tried."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from jobs.clock import doubled
from jobs.errors import DefinitionError
from jobs.formats.shown import shown

MAX_AFTER = 10_000
"""Source: decision; each counted failure is a row until the time is over."""
LONGEST_WITHIN = timedelta(days=1)
SHORTEST_OPEN, LONGEST_OPEN = timedelta(seconds=1), timedelta(days=7)
MAX_GROWTH = 8
"""How often ``open_for`` grows to at most. Source: decision; with the default, a canary goes every 8 minutes."""


@dataclass(frozen=True, slots=True)
class Breaker:
    """Opens after ``after`` failures of one fingerprint within ``within``: further runs are parked, not tried.

    After ``open_for`` one run goes as a canary. Its success closes the breaker and makes the parked runs ready. Its
    failure opens the breaker again, for twice as long each time, and for eight times ``open_for`` at most.

    Args:
        after: 1 to 10,000 failed attempts.
        within: up to a day.
        by: the field, or the method without arguments, whose value is the key: each key has a breaker of its own.
        open_for: 1 second to 7 days.
        name: kinds with a breaker of one name share it. Without it, the breaker is the kind's own, named like the kind.

    Raises:
        DefinitionError: a value is out of range.
    """

    after: int = 20
    within: timedelta = timedelta(minutes=1)
    by: str | None = None
    open_for: timedelta = timedelta(seconds=60)
    name: str | None = None

    def __post_init__(self) -> None:
        if type(self.after) is not int or not 1 <= self.after <= MAX_AFTER:
            raise DefinitionError(
                f"Breaker(after=…) takes a whole number from 1 to {MAX_AFTER:,}, got {shown(self.after)}."
            )
        if not isinstance(self.within, timedelta) or not timedelta(0) < self.within <= LONGEST_WITHIN:
            raise DefinitionError(
                f"Breaker(within=…) takes a timedelta above zero, a day at most, got {shown(self.within)}."
            )
        if not isinstance(self.open_for, timedelta) or not SHORTEST_OPEN <= self.open_for <= LONGEST_OPEN:
            raise DefinitionError(
                f"Breaker(open_for=…) takes a timedelta from 1 second to 7 days, got {shown(self.open_for)}."
            )
        if self.by is not None and (not isinstance(self.by, str) or not self.by.isidentifier()):
            raise DefinitionError(f"Breaker(by=…) takes the name of a field or of a method, got {shown(self.by)}.")
        if self.name is not None and not isinstance(self.name, str):
            raise DefinitionError(f"Breaker(name=…) takes text, got {shown(self.name)}.")

    def open_seconds(self, failed_canaries: int) -> float:
        """How long it is open before its next canary, after so many canaries in a row have failed."""
        first = self.open_for.total_seconds()
        return doubled(first, failed_canaries, most=first * MAX_GROWTH)
