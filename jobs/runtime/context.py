"""Context variables: the run that is performed now, and its correlation id."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any

from jobs.clock import new_token

if TYPE_CHECKING:
    from jobs.runtime.run import Run

current_run: ContextVar[Run | None] = ContextVar("jobs_current_run", default=None)
"""The run that this thread or coroutine performs; None outside ``perform``."""

_correlation_id: ContextVar[str | None] = ContextVar("jobs_correlation_id", default=None)


class CorrelationId:
    """The correlation id: connects log lines, runs and the runs that they enqueue. Used like a ``ContextVar``.

    A run without one of its own has its id as text, which is written when somebody asks: most runs never do.
    """

    def get(self) -> str | None:
        found = _correlation_id.get()
        if found is not None:
            return found
        run = current_run.get()
        return None if run is None else str(run.id)

    def set(self, value: str | None) -> Token[str | None]:
        return _correlation_id.set(value)

    def reset(self, token: Token[str | None]) -> None:
        _correlation_id.reset(token)


correlation_id = CorrelationId()

_session: ContextVar[tuple[Any, Run | None] | None] = ContextVar("jobs_session", default=None)
"""What ``jobs.transaction()`` was given, and the run that was performed when its block began."""

MAX_CORRELATION_ID = 100
_REQUEST_ID = re.compile(r"[A-Za-z0-9._\-]{8,64}")


def request_id(given: str) -> str:
    """The correlation id of a request: the one that it came with, if that is harmless text; else a new one."""
    return given if _REQUEST_ID.fullmatch(given) else new_token().hex[:16]


@contextmanager
def correlate(value: str) -> Iterator[None]:
    """Give this correlation id (a request's id, say) to everything enqueued or logged inside the block."""
    token = correlation_id.set(value[:MAX_CORRELATION_ID])
    try:
        yield
    finally:
        correlation_id.reset(token)


@contextmanager
def in_session(session: Any) -> Iterator[None]:
    """Enqueue in the transaction of ``session`` inside the block."""
    token = _session.set((session, current_run.get()))
    try:
        yield
    finally:
        _session.reset(token)


def enclosing_session() -> Any:
    """The session of the block around; None outside one, and in a job that is performed inside it."""
    found = _session.get()
    return found[0] if found is not None and found[1] is current_run.get() else None


def session_to_join(app: object, given: Any = None) -> Any:
    """The transaction that a call joins: ``given``, else that of the block around, else the one that the run has open.

    None: a transaction of its own.
    """
    session = enclosing_session() if given is None else given
    performing = current_run.get()
    if session is None and performing is not None and performing.app is app:
        return performing.open_session
    return session
