"""Moves ended runs to history in small batches, and makes and drops its partitions in time."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta

from jobs.app import App
from jobs.events import RunsSwept
from jobs.ledger.history import move, partitions
from jobs.ledger.history.move import HistoryBehind, Place
from jobs.ledger.history.partitions import Partition
from jobs.ledger.history.periods import period_of
from jobs.ledger.history.retention import RULES, Retention
from jobs.ledger.history.settings import HistorySettings, history_settings
from jobs.ledger.published_kinds import retained_kinds
from jobs.migration.history_tables import TWINS
from jobs.settings import Settings
from jobs.states import RunState

log = logging.getLogger("jobs.upkeep")

TURN_SECONDS = 1.0
"""Longest turn, so that the other tasks run too. Source: decision."""
LOOK_SECONDS = 20.0
"""Seconds between two looks at the settings and the partitions. Source: decision."""
PASS_SECONDS = 600.0
"""Seconds after which a walk begins again with the oldest runs: some may move later. Source: decision."""
_NAMES = {one.name for one in TWINS}
STATES = (RunState.SUCCEEDED, RunState.CANCELLED, RunState.DEAD)


class Mover:
    """Moves runs while this process leads the pruning. Nothing happens on a ledger without history."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._look_at = self._pass_at = app.clock.monotonic()
        self._settings: HistorySettings | None = None
        self._known: list[Partition] = []
        self._rules = retention_of(app.settings, {})
        self._beyond: dict[RunState, Place] = {}

    def turn(self) -> bool:
        """Move for a second at most, each batch in a transaction of its own; returns whether there is more to move.

        Raises:
            ServiceDown: the ledger does not answer.
        """
        clock = self._app.clock
        if self._app.database.dialect != "postgresql":
            return False
        began = clock.monotonic()
        if began >= self._look_at:
            self._look_at = began + LOOK_SECONDS
            self._look()
        if self._settings is None or not self._settings.is_due:
            return False
        if began >= self._pass_at:
            self._pass_at = began + PASS_SECONDS
            self._beyond.clear()
        moved = 0
        try:
            for state in STATES:
                while (some := self._move(state)) and clock.monotonic() - began < TURN_SECONDS:
                    moved += some
                moved += some
                if some:
                    return True
        except HistoryBehind as error:
            self._settings = None  # Until the next look.
            log.warning(
                "History lacks columns, so no run moves: run jobledger migrate up",
                extra={"table": error.twin, "columns": list(error.missing)},
            )
        finally:
            if moved:
                self._app.events.emit([RunsSwept("history", moved)])
        return False

    def _move(self, state: RunState) -> int:
        """Move one batch of runs in this state; how many. Makes the partitions that it needs."""
        moved = self._try_to_move(state)
        if moved is None:
            moved = self._try_to_move(state)
        return moved or 0

    def _try_to_move(self, state: RunState) -> int | None:
        """None if partitions were missing, which are there now."""
        with self._app.database.write() as connection:
            runs = move.pick(
                connection, state, beyond=self._beyond.get(state), age=move.LEASES * self._app.settings.lease
            )
            kept = [(one, self._rules.rule_of(state, one.kind)) for one in runs]
            missing = [(rule, one.ended_at) for one, rule in kept if not self._has_partition(rule, one.ended_at)]
            if not missing:
                move.move(connection, kept)
        if missing:
            self._make(missing)
            return None
        if runs:
            self._beyond[state] = (runs[-1].ended_at, runs[-1].id)
        return len(runs)

    def _has_partition(self, rule: str, moment: datetime) -> bool:
        there = {one.twin for one in self._known if one.rule == rule and one.period.begin <= moment < one.period.end}
        return there >= _NAMES

    def _look(self) -> None:
        """Read the settings, make the partitions of this period and the next, and drop those that are due."""
        database = self._app.database
        with database.read() as connection:
            self._settings = history_settings(connection)
            if self._settings is None:
                return
            self._known = partitions.partitions(connection, database.schema)
            loose = partitions.loose_tables(connection, database.schema)
            self._rules = retention_of(self._app.settings, retained_kinds(connection))
        now = self._app.clock.now()
        if self._settings.disabled_at is None:
            soon = period_of(now, self._settings.period).end
            self._make([(rule, at) for rule in RULES for at in (now, soon)])
        for one in self._rules.due(self._known, now):
            partitions.drop(database, one)
            log.info("Partition of history dropped", extra={"partition": one.name, "rows": one.rows})
            self._known.remove(one)
        for other in loose:
            if other.is_ours:
                partitions.drop_loose(database, other.name)

    def _make(self, wanted: list[tuple[str, datetime]]) -> None:
        """Make the partitions that are missing; all processes know them from the catalogue."""
        assert self._settings is not None
        database = self._app.database
        wanted = [(rule, at) for rule, at in wanted if not self._has_partition(rule, at)]
        if wanted and partitions.make_for(database, wanted, length=self._settings.period):
            with database.read() as connection:
                self._known = partitions.partitions(connection, database.schema)


def retention_of(settings: Settings, kinds: Mapping[str, timedelta]) -> Retention:
    """The rules of the settings, and of kinds with a time of their own."""
    kept: dict[RunState, timedelta | None] = {
        RunState.SUCCEEDED: settings.retain_succeeded,
        RunState.CANCELLED: settings.retain_cancelled,
        RunState.DEAD: settings.retain_dead,
    }
    return Retention(kept, kinds)
