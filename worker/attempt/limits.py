"""The soft and the hard time limit of a kind's attempts, in seconds."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.definition import registry
from jobs.errors import TimeLimitExceeded
from jobs.ledger.records import Claim
from jobs.messages import actor_job
from jobs.settings import Settings

ALONE_AFTER_ABANDONMENTS = 2
"""Abandoned attempts from which on a run is suspect. Above 1, since one dead machine may have held thousands of
runs. Source: design."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds; None means no limit."""

    soft: float | None
    hard: float | None
    error: type[TimeLimitExceeded] = TimeLimitExceeded


def limits_of(kind: str, settings: Settings) -> Limits:
    """The limits of an attempt of ``kind``."""
    timeout = registry.get(kind).options.timeout
    if timeout is None:
        return Limits(None, None)
    soft = timeout.total_seconds()
    return Limits(soft, soft + settings.hard_after.total_seconds())


def limits_for(claim: Claim, settings: Settings) -> Limits:
    """The limits of this attempt: those of its kind or, for a dramatiq message, those of its options."""
    if claim.kind not in actor_job.brokers:
        return limits_of(claim.kind, settings)
    soft = actor_job.limit_of(claim)
    return Limits(soft, None if soft is None else soft + settings.hard_after.total_seconds(), actor_job.TimeOver)
