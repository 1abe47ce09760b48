"""Idempotency-Key: a repeated request gets the first answer and changes nothing.

Only what did something is kept, for a day, by operator and by what their credential allows: a narrow token is not told
what a wide one was. The key is taken in a transaction before the work and the
answer written in one after it: should the process die between the two, nobody knows how the request ended, and that is
what its key answers then.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from jobs.app import App
from jobs.errors import Conflict
from jobs.ledger.operators import idempotency
from jobs.ledger.operators.idempotency import RequestKey
from jobs.operations.audit.operator import Operator

KEPT = timedelta(days=1)
"""Source: decision; longer than any client tries again."""
AT_WORK = timedelta(minutes=1)
"""How long a request without an answer may still be at work. Source: twice the time limit of a statement."""


@dataclass(frozen=True, slots=True)
class Answered:
    """How a request was answered before."""

    status: int
    text: str


def begin(app: App, operator: Operator, key: str, fingerprint: str) -> Answered | None:
    """Take the key; None: do it, then call ``end``. Else its answer.

    Raises:
        Conflict: another request has the key, or this one is being done, or nobody knows how it ended.
    """
    now = app.clock.now()
    with app.database.write(urgent=True) as connection:
        found = idempotency.claim(connection, _key(operator, key), fingerprint, now=now, kept=KEPT)
        if found is None:
            idempotency.sweep(connection, before=now - KEPT)
    if found is None:
        return None
    if found.fingerprint != fingerprint:
        raise Conflict("The Idempotency-Key was used for another request.", hint="Make a new key for each request.")
    if found.status is None:
        if now - found.created_at < AT_WORK:
            raise Conflict("The request with this Idempotency-Key is being done.", hint="Ask again in a moment.")
        raise Conflict(
            "A request with this Idempotency-Key began, and nobody knows how it ended.",
            hint="Look into the audit; then, if it did nothing, use another key.",
        )
    if found.answer is None:
        raise Conflict("The request was done, and what it was answered was erased.", hint="Look into the audit.")
    return Answered(found.status, found.answer)


def end(app: App, operator: Operator, key: str, answered: Answered | None) -> None:
    """Keep the answer; None: it did nothing, and the key is free again."""
    with app.database.write(urgent=True) as connection:
        if answered is None:
            idempotency.forget(connection, _key(operator, key))
        else:
            idempotency.answer(connection, _key(operator, key), status=answered.status, text=answered.text)


def _key(operator: Operator, key: str) -> RequestKey:
    allowed = ",".join(sorted(operator.permissions))
    return RequestKey(operator.name, key, hashlib.sha256(allowed.encode()).hexdigest()[:16])
