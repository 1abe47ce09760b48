"""dramatiq's back-off, without the limit of seven days that its queues have."""

from __future__ import annotations

from dramatiq.broker import Broker
from dramatiq.common import compute_backoff
from dramatiq.errors import Retry
from dramatiq.middleware import Retries

from jobs.messages.proxy import LedgerMessage

CUT_AT = 7 * 86_400_000
"""Milliseconds. Source: dramatiq's Retries."""


def uncapped(broker: Broker, message: LedgerMessage, delay: int) -> int:
    """The milliseconds until a message is tried again; ``delay`` is dramatiq's own value."""
    if isinstance(message.error, Retry) and message.error.delay is not None:
        return delay
    retries = next((one for one in broker.middleware if isinstance(one, Retries)), None)
    actor = broker.actors.get(message.actor_name)
    if retries is None or actor is None:
        return delay
    longest = message.options.get("max_backoff", actor.options.get("max_backoff", retries.max_backoff))
    if longest <= CUT_AT:
        return delay
    first = message.options.get("min_backoff", actor.options.get("min_backoff", retries.min_backoff))
    tried = message.options.get("retries", 1) - 1
    return int(compute_backoff(tried, factor=first, max_backoff=longest)[1])
