"""Lets blocks that only read see history: their statements name the views of both instead of the hot tables.

Runs that ended may be in ``job_runs`` or in ``job_history`` (``jobs/migration/history_tables.py``). The view
``job_runs_all`` has both, in one relation that PostgreSQL plans as an append of indexes. So every list, report and page
reads both through the statement that it had before. Statements that write, and those of a ledger without history, stay
as they are.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, event, text

from jobs.clock import Clock

LOOK_SECONDS = 20.0
"""How long a process trusts that there is no history. Source: decision; runs move a minute after it is enabled."""
OF_LIVE_RUNS: dict[str, Any] = {"of_live_runs": True}
"""Execution options of a statement that asks only for queued or running runs, which are never in history. To plan it
over all partitions takes longer than to answer it."""
_IS_THERE = text("select to_regclass(coalesce(quote_ident(:schema) || '.', '') || 'job_runs_all') is not null")
_HOT = re.compile(r"\b(job_runs|job_attempts|job_attempt_logs|job_steps)\b")


class HistoryReads:
    """What this process knows of the history of one database. Without PostgreSQL there is none."""

    def __init__(self, clock: Clock, schema: str | None, dialect: str) -> None:
        self._clock = clock
        self._is_possible = dialect == "postgresql"
        self._schema = schema
        self._look_at = clock.monotonic() - 1.0
        self.is_there = False
        """Whether the views of both existed when this process last looked. They stay until a migration down."""

    def _look(self, connection: Connection) -> None:
        """Ask for the views, if the last look was long ago. One small statement each 20 s, until they exist."""
        now = self._clock.monotonic()
        if self.is_there or now < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        self.is_there = bool(connection.scalar(_IS_THERE, {"schema": self._schema}))

    def see_both(self, connection: Connection) -> None:
        """Let each statement of ``connection`` read the hot tables and history as one, until it is closed."""
        if self._is_possible:
            self._look(connection)
        if self.is_there:
            event.listen(connection, "before_cursor_execute", _of_both, retval=True)


def _of_both(
    connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool
) -> tuple[str, Any]:
    if context is not None and context.execution_options.get("of_live_runs"):
        return statement, parameters
    return _renamed(statement), parameters


@lru_cache(maxsize=1024)
def _renamed(statement: str) -> str:
    # Values are bound, so a name stands for a table everywhere. SQLAlchemy's own aliases (job_runs_1) differ.
    return _HOT.sub(r"\1_all", statement)
