"""History: whether runs that ended leave the hot tables, what has moved, and when it is dropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobs.app import App
from jobs.errors import ConfigurationError, Conflict
from jobs.ledger.history import partitions, settings
from jobs.ledger.history.partitions import LooseTable, Partition
from jobs.ledger.history.retention import Rules
from jobs.ledger.operators.retention import read_retention
from jobs.migration import history_tables
from jobs.operations.audit.entry import check_reason, record_finished
from jobs.operations.audit.operator import Operator, Permission

TARGET = "history"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionState:
    """One period of one rule, with the attempts and steps of its runs.

    Attributes:
        rows: about how many runs.
        drops_at: when retention drops it; None if it is kept for ever.
    """

    name: str
    rule: str
    begin: datetime
    end: datetime
    rows: int
    bytes: int
    drops_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryStatus:
    """``state`` is off, waiting (for the minute after it was enabled), on or disabled.

    Attributes:
        detached: tables that somebody detached from history: nothing reads them, and retention does not drop them.
    """

    state: str
    period: str | None
    enabled_at: datetime | None
    moves_after: datetime | None
    partitions: Sequence[PartitionState]
    detached: Sequence[LooseTable]

    @property
    def rows(self) -> int:
        return sum(one.rows for one in self.partitions)

    @property
    def bytes(self) -> int:
        return sum(one.bytes for one in self.partitions)


def enable_history(app: App, operator: Operator, *, period: str = "month", reason: str | None = None) -> HistoryStatus:
    """Make the tables of history, and let ended runs move from a minute from now. Undone by ``disable_history``.

    Called again, it sets the length of partitions that are made from now on.

    Raises:
        ConfigurationError: the ledger is on SQLite, or its owner is another role.
    """
    operator.need(Permission.WORKERS_WRITE)
    check_reason(app, reason)
    database = app.database
    if database.dialect != "postgresql":
        raise ConfigurationError(
            "History needs PostgreSQL: SQLite has no partitions that retention could drop.",
            hint="Delete ended runs sooner: JOBS_RETAIN_SUCCEEDED, retain= of a class, jobledger queues retain.",
        )
    with database.write() as connection:
        before = settings.history_settings(connection)
        history_tables.make(connection, database.schema)
        settings.enable(connection, period=period)
        record_finished(
            connection, "enable_history", operator, target=TARGET, reason=reason,
            before=_shown(before), after={"period": period},
        )  # fmt: skip
    database.history.is_there = True
    return history_status(app, operator)


def disable_history(app: App, operator: Operator, *, reason: str | None = None) -> HistoryStatus:
    """Let no more runs move. What has moved stays readable, and is dropped when its time is over.

    Raises:
        Conflict: no run moves now.
    """
    operator.need(Permission.WORKERS_WRITE)
    check_reason(app, reason)
    with app.database.write() as connection:
        before = settings.history_settings(connection)
        if not settings.disable(connection):
            raise Conflict(
                "History is off already.",
                hint="jobledger history enable turns it on." if app.database.dialect == "postgresql" else None,
            )
        record_finished(
            connection, "disable_history", operator, target=TARGET, reason=reason, before=_shown(before), after=None
        )
    return history_status(app, operator)


def history_status(app: App, operator: Operator) -> HistoryStatus:
    """Whether runs move, each partition with its size and when it is dropped, and tables that somebody detached."""
    operator.need(Permission.RUNS_READ)
    database = app.database
    with database.read() as connection:
        found = settings.history_settings(connection)
        if found is None:
            return HistoryStatus(
                state="off", period=None, enabled_at=None, moves_after=None, partitions=(), detached=()
            )
        every = partitions.partitions(connection, database.schema)
        loose = partitions.loose_tables(connection, database.schema)
        rules = Rules(read_retention(connection, app.settings))
    state = "disabled" if found.disabled_at is not None else "on" if found.is_due else "waiting"
    return HistoryStatus(
        state=state,
        period=found.period,
        enabled_at=found.enabled_at,
        moves_after=found.moves_after,
        partitions=_together(rules, every),
        detached=[one for one in loose if not one.is_ours],
    )


def _together(rules: Rules, every: Sequence[Partition]) -> list[PartitionState]:
    """The partitions of the runs, each with the size of all that belongs to them; the latest first."""
    sizes: dict[tuple[str, datetime], int] = {}
    for one in every:
        key = one.rule, one.period.begin
        sizes[key] = sizes.get(key, 0) + one.bytes
    shown = [
        PartitionState(
            name=one.name,
            rule=one.rule,
            begin=one.period.begin,
            end=one.period.end,
            rows=one.rows,
            bytes=sizes[one.rule, one.period.begin],
            drops_at=rules.drops_at(one),
        )
        for one in every
        if one.twin == history_tables.RUNS.name
    ]
    return sorted(shown, key=lambda one: (one.begin, one.rule), reverse=True)


def _shown(found: settings.HistorySettings | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {"period": found.period, "is_on": found.disabled_at is None}
