"""Rate: so many runs start within a span of time, over all processes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from jobs.definition.limit import MAX_MOST, check_key_and_name
from jobs.errors import DefinitionError
from jobs.formats.rate import format_rate
from jobs.formats.shown import shown

MAX_COUNT = 2**31 - 1
"""What the ledger's column can hold."""
SLOWEST, FASTEST = 1 / 3600, 1_000_000.0
"""Runs a second. Source: decision; a schedule is better for less than one an hour, and no ledger starts more."""
BURST_SECONDS = 0.1
"""Without ``burst=``, as many runs may start at once as the rate allows in this time, at least 1. Source: decision; a
worker claims a few times in it, so that a fast rate is reached although runs are claimed in batches."""


@dataclass(frozen=True, slots=True)
class Rate:
    """``count`` runs start within ``per``, evenly spaced, over all processes; each of the others gets a later slot.

    No span as long as ``per`` has more than ``count + burst`` starts.

    Args:
        count: 1 or more.
        per: the span, as a timedelta. From one an hour to a million a second.
        by: the field, or the method without arguments, whose value is the key: each key has its own rate. Without it,
            the rate is for all.
        name: kinds with a rate of one name share it. Without it, the rate is the kind's own, named like the kind.
        burst: how many may start at once after a pause, 1 to 1,000,000. Without it, what the rate allows in a tenth of
            a second, at least 1.

    Raises:
        DefinitionError: a value is out of range.
    """

    count: int
    per: timedelta
    by: str | None = None
    name: str | None = None
    burst: int | None = None

    def __post_init__(self) -> None:
        check_rate(self.count, self.per)
        if self.burst is not None and (type(self.burst) is not int or not 1 <= self.burst <= MAX_MOST):
            hint = "With burst=1 runs start one by one." if self.burst == 0 else None
            raise DefinitionError(
                f"Rate(burst=…) takes a whole number from 1 to {MAX_MOST:,}, got {shown(self.burst)}.", hint=hint
            )
        check_key_and_name("Rate", self.by, self.name)

    def __str__(self) -> str:
        return format_rate(self.count, self.per)


def check_rate(count: object, per: object) -> None:
    """Refuse a rate that is too slow, too fast, or none.

    Raises:
        DefinitionError: it is.
    """
    if type(count) is not int or not 1 <= count <= MAX_COUNT:
        hint = "To perform nothing, pause the kind or the queue: jobledger kinds pause NAME." if count == 0 else None
        raise DefinitionError(f"A rate takes a whole number of runs from 1, got {shown(count)}.", hint=hint)
    if not isinstance(per, timedelta) or per <= timedelta(0):
        raise DefinitionError(
            f"A rate is per a timedelta above zero, got {shown(per)}.", hint="Rate(600, per=timedelta(minutes=1))"
        )
    a_second = count / per.total_seconds()
    if a_second < SLOWEST * (1 - 1e-9):
        raise DefinitionError(
            f"The rate {format_rate(count, per)} is slower than one an hour.", hint="Give the kind a schedule instead."
        )
    if a_second > FASTEST * (1 + 1e-9):
        raise DefinitionError(
            f"The rate {format_rate(count, per)} is faster than a million a second.", hint="Leave the rate out."
        )
