"""The only file that changes when the application moves: the broker, and the backend that counts its groups.

``NEWSLETTER_BROKER`` is ``ledger`` (the default), ``redis`` or ``stub``.
"""

from __future__ import annotations

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import GroupCallbacks
from dramatiq.rate_limits.backends import RedisBackend, StubBackend

REDIS_URL = os.environ.get("NEWSLETTER_REDIS_URL", "redis://localhost:6379/0")


def make() -> dramatiq.Broker:
    """The broker that ``NEWSLETTER_BROKER`` names."""
    name = os.environ.get("NEWSLETTER_BROKER", "ledger")
    if name == "redis":
        broker: dramatiq.Broker = RedisBroker(url=REDIS_URL)
        broker.add_middleware(GroupCallbacks(RedisBackend(url=REDIS_URL)))
        return broker
    if name == "stub":
        broker = StubBroker()
    else:
        from jobs.dramatiq import LedgerBroker

        broker = LedgerBroker()
    # The ledger counts groups itself and does not use this backend.
    broker.add_middleware(GroupCallbacks(StubBackend()))
    return broker
