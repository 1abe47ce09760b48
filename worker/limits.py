"""The time limits of a kind's attempts, in seconds: a soft one, and a hard one some time after it."""

from __future__ import annotations

from dataclasses import dataclass

from jobs import registry
from jobs.settings import Settings

ALONE_AFTER_ABANDONMENTS = 2
"""Not from the first: one dead machine may have held thousands. Source: design."""


@dataclass(frozen=True, slots=True)
class Limits:
    """None is no limit."""

    soft: float | None
    hard: float | None


def limits_of(kind: str, settings: Settings) -> Limits:
    """What an attempt of ``kind`` may take."""
    timeout = registry.get(kind).options.timeout
    if timeout is None:
        return Limits(None, None)
    soft = timeout.total_seconds()
    return Limits(soft, soft + settings.hard_after.total_seconds())
