"""Idempotency-Key: a repeated request gets the first answer and changes nothing.

Answers of requests with an effect are stored for a day, by operator and by the permissions of their credential, so that
a narrow token does not see the answer of a wide one. The key is taken in a transaction before the work, and the answer
is written in one after it. If the process dies between the two, the result of the request is unknown, and its key
answers that.
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
"""Source: decision; longer than any client retries."""
AT_WORK = timedelta(minutes=1)
"""How long a request without an answer may still be running. Source: twice the time limit of a statement."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The stored answer to a request."""

    status: int
    text: str


def begin(app: App, operator: Operator, key: str, fingerprint: str) -> Answered | None:
    """Take the key; None: perform the request, then call ``end``. Else its stored answer.

    Raises:
        Conflict: another request has the key, or this one is still running, or its result is unknown.
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
            "A request with this Idempotency-Key began, and its result is unknown.",
            hint="Check the audit; if it did nothing, use another key.",
        )
    if found.answer is None:
        raise Conflict("The request was done, but its answer was erased.", hint="Check the audit.")
    return Answered(found.status, found.answer)


def end(app: App, operator: Operator, key: str, answered: Answered | None) -> None:
    """Store the answer; None: the request did nothing, and the key is free again."""
    with app.database.write(urgent=True) as connection:
        if answered is None:
            idempotency.forget(connection, _key(operator, key))
        else:
            idempotency.answer(connection, _key(operator, key), status=answered.status, text=answered.text)


def _key(operator: Operator, key: str) -> RequestKey:
    allowed = ",".join(sorted(operator.permissions))
    return RequestKey(operator.name, key, hashlib.sha256(allowed.encode()).hexdigest()[:16])
