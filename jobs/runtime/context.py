"""Context variables: the run that is performed now, and its correlation id."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobs.runtime.run import Run

current_run: ContextVar[Run | None] = ContextVar("jobs_current_run", default=None)
"""The run that this thread or coroutine performs; None outside ``perform``."""

correlation_id: ContextVar[str | None] = ContextVar("jobs_correlation_id", default=None)
"""Correlation id: connects log lines, runs and the runs that they enqueue."""

MAX_CORRELATION_ID = 100


@contextmanager
def correlate(value: str) -> Iterator[None]:
    """Give this correlation id (a request's id, say) to everything enqueued or logged inside the block."""
    token = correlation_id.set(value[:MAX_CORRELATION_ID])
    try:
        yield
    finally:
        correlation_id.reset(token)
