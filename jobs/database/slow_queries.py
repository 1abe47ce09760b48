"""Logs each statement that took too long."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Engine, event

from jobs.clock import Clock

log = logging.getLogger("jobs.database")
SLOW = "jobs_slow"
"""The execution option that holds an engine's ``SlowStatements`` for a connection."""


class SlowStatements:
    """Logs each statement that takes longer than ``limit``, without its values."""

    def __init__(self, limit: timedelta, clock: Clock) -> None:
        self._seconds, self._clock = limit.total_seconds(), clock

    def watch(self, engine: Engine) -> None:
        """Watch every statement of ``engine``, and make this object available to statements sent directly."""

        def before(connection: Connection, *rest: Any) -> None:
            connection.info["jobs_began"] = self.begin()

        def after(connection: Connection, cursor: Any, statement: str, *rest: Any) -> None:
            self.look(connection.info.get("jobs_began", 0.0), statement)

        event.listen(engine, "before_cursor_execute", before)
        event.listen(engine, "after_cursor_execute", after)
        engine.update_execution_options(**{SLOW: self})

    def begin(self) -> float:
        """The start time to pass to ``look`` for a statement that begins now."""
        return self._clock.monotonic()

    def look(self, began: float, statement: str) -> None:
        """Log a completed statement, if it was slow."""
        took = self._clock.monotonic() - began
        if took > self._seconds:
            # The statement's text holds no values: they are always bound.
            log.warning(
                "Slow statement",
                extra={"statement": statement[:500], "duration_ms": round(took * 1e3)},
            )
