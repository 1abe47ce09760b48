"""Slow: a line in the log for each statement that took too long."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Engine, event

from jobs.clock import Clock

log = logging.getLogger("jobs.database")


def warn_of_slow_statements(engine: Engine, limit: timedelta, clock: Clock) -> None:
    """Log each statement of ``engine`` that takes longer than ``limit``, without its values."""
    seconds = limit.total_seconds()

    def before(connection: Connection, *rest: Any) -> None:
        connection.info["jobs_began"] = clock.monotonic()

    def after(connection: Connection, cursor: Any, statement: str, *rest: Any) -> None:
        took = clock.monotonic() - connection.info.get("jobs_began", 0.0)
        if took > seconds:
            # The statement's text holds no values: they are always bound.
            log.warning(
                "A statement was slow.",
                extra={"statement": statement[:500], "duration_ms": round(took * 1e3)},
            )

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
