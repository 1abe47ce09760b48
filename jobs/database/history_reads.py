"""Lets blocks that only read see history: their statements name the views of both instead of the hot tables.

Runs that ended may be in ``job_runs`` or in ``job_history`` (``jobs/migration/history_tables.py``). The view
``job_runs_all`` has both, in one relation that PostgreSQL plans as an append of indexes. So every list, report and page
reads both through the statement that it had before. To plan one over all partitions takes longer than most take to
run: those that are asked often say with ``HOT_ONLY`` or ``HISTORY_ONLY`` which of the two they read. Statements that
write, and those of a ledger without history, stay as they are.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, event, text

from jobs.clock import Clock

LOOK_SECONDS = 20.0
"""How long a process trusts that there is no history. Source: decision; runs move a minute after it is enabled."""
PERIODS_SECONDS = 60.0
"""How long a process uses the list of periods. Source: decision; an old list costs time, and hides no run."""
HOT_ONLY: dict[str, Any] = {"reads_from": "hot"}
"""Execution options of a statement that reads the hot tables alone: live runs are never in history."""
HISTORY_ONLY: dict[str, Any] = {"reads_from": "history"}
"""Execution options of a statement that reads history alone, and may name its column ``keep``."""
_OPTION = "history_reads"
_IS_THERE = text("select to_regclass(coalesce(quote_ident(:schema) || '.', '') || 'job_runs_all') is not null")
_BOUNDS = text(
    "select distinct pg_get_expr(leaf.relpartbound, leaf.oid) from pg_inherits as top"
    " join pg_inherits as up on up.inhparent = top.inhrelid join pg_class as leaf on leaf.oid = up.inhrelid"
    " where top.inhparent = to_regclass(coalesce(quote_ident(:schema) || '.', '') || 'job_history')"
)
_BEGIN = re.compile(r"FROM \('([^']+)'\)")
_HOT = re.compile(r"\b(job_runs|job_attempts|job_attempt_logs|job_steps)\b")


class HistoryReads:
    """What this process knows of the history of one database. Without PostgreSQL there is none."""

    def __init__(self, clock: Clock, schema: str | None, dialect: str) -> None:
        self._clock = clock
        self._is_possible = dialect == "postgresql"
        self._schema = schema
        self._look_at = clock.monotonic() - 1.0
        self._begins: tuple[datetime, ...] = ()
        self._begins_at = clock.monotonic() - 1.0
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
            connection.execution_options(**{_OPTION: self})
            event.listen(connection, "before_cursor_execute", _of_both, retval=True)

    def begins(self, connection: Connection) -> tuple[datetime, ...]:
        """When the periods of the partitions began that are not in the future, the latest first.

        From the catalogue, at most once a minute. It says where to look first, and never where not to look.
        """
        if (now := self._clock.monotonic()) >= self._begins_at:
            found = set()
            for bounds in connection.scalars(_BOUNDS, {"schema": self._schema}):
                begin = _BEGIN.search(bounds or "")
                # Somebody may attach a partition with bounds that Python does not know.
                with suppress(ValueError):
                    found |= {datetime.fromisoformat(begin[1])} if begin else set()
            self._begins = tuple(sorted(found, reverse=True))
            self._begins_at = now + PERIODS_SECONDS
        present = self._clock.now()
        return tuple(one for one in self._begins if one <= present)


def history_of(connection: Connection) -> HistoryReads | None:
    """The history that this connection reads; None if it reads the hot tables alone."""
    found: HistoryReads | None = connection.get_execution_options().get(_OPTION)
    return found


def _of_both(
    connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool
) -> tuple[str, Any]:
    place = "both" if context is None else context.execution_options.get("reads_from", "both")
    return (statement if place == "hot" else _renamed(statement, place)), parameters


@lru_cache(maxsize=1024)
def _renamed(statement: str, place: str) -> str:
    # Values are bound, so a name stands for a table everywhere. SQLAlchemy's own aliases (job_runs_1) differ.
    return _HOT.sub(lambda found: _TWINS[found[1]] if place == "history" else f"{found[1]}_all", statement)


_TWINS = {
    "job_runs": "job_history",
    "job_attempts": "job_attempts_history",
    "job_attempt_logs": "job_attempt_logs_history",
    "job_steps": "job_steps_history",
}
