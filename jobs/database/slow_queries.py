"""Logs each statement that took too long."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Engine, event

from jobs.clock import Clock

log = logging.getLogger("jobs.database")
SLOW = "jobs_slow"
"""The execution option under which a connection has its engine's ``SlowStatements``."""


class SlowStatements:
    """Logs each statement that takes longer than ``limit``, without its values."""

    def __init__(self, limit: timedelta, clock: Clock) -> None:
        self._seconds, self._clock = limit.total_seconds(), clock

    def watch(self, engine: Engine) -> None:
        """Look at every statement of ``engine``, and let those that pass it by find this one."""

        def before(connection: Connection, *rest: Any) -> None:
            connection.info["jobs_began"] = self.begin()

        def after(connection: Connection, cursor: Any, statement: str, *rest: Any) -> None:
            self.look(connection.info.get("jobs_began", 0.0), statement)

        event.listen(engine, "before_cursor_execute", before)
        event.listen(engine, "after_cursor_execute", after)
        engine.update_execution_options(**{SLOW: self})

    def begin(self) -> float:
        """What ``look`` asks of a statement that is asked from now on."""
        return self._clock.monotonic()

    def look(self, began: float, statement: str) -> None:
        """Log a statement that was answered, if it was slow."""
        took = self._clock.monotonic() - began
        if took > self._seconds:
            # The statement's text holds no values: they are always bound.
            log.warning(
                "Slow statement",
                extra={"statement": statement[:500], "duration_ms": round(took * 1e3)},
            )
