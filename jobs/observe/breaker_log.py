"""Logs breakers that open and close."""

from __future__ import annotations

import logging

from jobs.events import BreakerClosed, BreakerOpened, Events

log = logging.getLogger("jobs.breakers")


def subscribe(events: Events) -> None:
    """Subscribe to the changes of breakers."""
    events.subscribe(BreakerOpened, _log_opened)
    events.subscribe(BreakerClosed, _log_closed)


def _log_opened(batch: list[BreakerOpened]) -> None:
    for one in batch:
        fields = {
            "breaker": one.breaker,
            "kind": one.kind,
            "fingerprint": one.fingerprint,
            "error_type": one.error_type,
            "failures": one.failures,
            "probe_at": one.probe_at.isoformat() if one.probe_at else None,
        }
        event = "Breaker stays open: its canary failed" if one.is_again else "Breaker opened"
        log.warning(event, extra={name: value for name, value in fields.items() if value is not None})


def _log_closed(batch: list[BreakerClosed]) -> None:
    for one in batch:
        log.info("Breaker closed", extra={"breaker": one.breaker, "kind": one.kind, "freed": one.freed})
