"""Decides what a receiver is told about a problem, and when: pure computation."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Literal

from jobs.ledger.operators.alert_routes import StateRecord
from jobs.operations.insight.alerts import Alert

TOPICS: dict[str, frozenset[str]] = {
    "dead": frozenset({"dead"}),
    "target": frozenset({"late", "burning"}),
    "breaker": frozenset({"breaker"}),
    "stuck": frozenset({"failing", "no_worker", "unserved", "lost"}),
    "scheduler": frozenset({"no_scheduler", "broken_schedule"}),
}
"""What a receiver may be told about: topics, and the codes of their alerts."""
REMEMBERED = timedelta(hours=1)
"""How long a problem that ended is remembered, so that its number of messages goes on. Source: decision."""

MessageType = Literal["firing", "resolved"]


def topic_of(code: str) -> str | None:
    """The topic of an alert; None if nobody is told of its kind (a pause, say, which an operator made)."""
    return next((topic for topic, codes in TOPICS.items() if code in codes), None)


def fingerprint_of(alert: Alert) -> str:
    """The same for the same problem: by its code and its subject, not by its numbers."""
    # A queue and a kind may have the same name.
    text = f"{alert.code}\n{alert.subject or ''}" + ("\nkind" if alert.is_of_kind else "")
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=8).hexdigest()


def due(alert: Alert | None, state: StateRecord | None, *, now: datetime, group: timedelta) -> MessageType | None:
    """What to tell now; None: nothing.

    The first message goes at once. The next about the same problem, that it changed or is over, goes when ``group`` has
    passed since the last one, if there is still something to tell then.
    """
    if state is None:
        return "firing" if alert is not None else None
    if now - state.sent_at < group:
        return None
    if alert is None:
        return "resolved" if state.is_firing else None
    return "firing" if not state.is_firing or alert.sentence != state.sentence else None


def is_forgotten(alert: Alert | None, state: StateRecord, *, now: datetime, group: timedelta) -> bool:
    """Whether a problem that ended need not be remembered any more."""
    return alert is None and not state.is_firing and now - state.sent_at >= max(group, REMEMBERED)
