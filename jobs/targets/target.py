"""Target: what a class promises of its kind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from jobs.errors import DefinitionError
from jobs.formats.percent import parse_percent
from jobs.formats.shown import shown

MAX_LATENCY = timedelta(days=366)
"""The greatest latency target. Source: decision; what may wait for longer needs no alert."""
MIN_SUCCESS, MAX_SUCCESS = 0.5, 0.99999
"""Shares of ended runs. Source: decision; with all of them there is no error budget, and one failure breaks it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A kind is late once its oldest ready run has waited for ``latency``; ``success`` of its runs shall succeed.

    What an operator sets with ``jobledger kinds target`` wins until it is cleared.

    Args:
        latency: whole seconds, from one second to 366 days.
        success: from 0.5 to 0.99999, or as text: ``"99.5%"``.

    Raises:
        DefinitionError: a value is out of range, or neither is given.
    """

    latency: timedelta | None = None
    success: float | str | None = None

    def __post_init__(self) -> None:
        if self.latency is None and self.success is None:
            raise DefinitionError("Target(…) takes latency=, success= or both.")
        if self.latency is not None and not is_latency(self.latency):
            raise DefinitionError(
                f"Target(latency=…) takes whole seconds, from one second to 366 days, got {shown(self.latency)}."
            )
        share: object = self.success
        if isinstance(share, str):
            try:
                share = parse_percent(share)
            except ValueError:
                pass
            else:
                object.__setattr__(self, "success", share)
        if share is not None and not is_success(share):
            raise DefinitionError(
                f'Target(success=…) takes a share from 0.5 to 0.99999, or "99.5%", got {shown(self.success)}.'
            )

    @property
    def success_share(self) -> float | None:
        """The share as a number."""
        return None if self.success is None else float(self.success)


def is_latency(value: object) -> bool:
    """Whether a latency target can have this value."""
    if not isinstance(value, timedelta) or not timedelta(seconds=1) <= value <= MAX_LATENCY:
        return False
    return timedelta(seconds=round(value.total_seconds())) == value


def is_success(value: object) -> bool:
    """Whether a success target can have this value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and MIN_SUCCESS <= value <= MAX_SUCCESS
