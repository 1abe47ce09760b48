"""Moves ended runs to history in batches, and makes and drops its partitions in time."""

from __future__ import annotations

import logging
from datetime import datetime

from jobs.app import App
from jobs.events import RunsSwept
from jobs.ledger.history import move, partitions, pick
from jobs.ledger.history.move import HistoryBehind, TablesChanged
from jobs.ledger.history.partitions import Partition
from jobs.ledger.history.periods import period_of
from jobs.ledger.history.pick import Place
from jobs.ledger.history.retention import RULES, Rules
from jobs.ledger.history.settings import HistorySettings, history_settings
from jobs.ledger.history_rows import Layout, layout_of
from jobs.ledger.operators.retention import Retention, kept_by_settings, read_retention
from jobs.migration.history_tables import TWINS
from jobs.states import RunState
from jobs.upkeep.history_drops import drop_due

log = logging.getLogger("jobs.upkeep")

TURN_SECONDS = 1.0
"""Longest turn, so that the other tasks run too. Source: decision."""
LOOK_SECONDS = 20.0
"""Seconds between two looks at the settings and the partitions. Source: decision."""
PASS_SECONDS = 600.0
"""Seconds after which a walk begins again with the oldest runs: some may move later. Source: decision."""
BATCH_SECONDS = 0.1
"""How long a batch takes at best. Source: decision; an operator who replays one of its runs waits for its end."""
LEAST, MOST = 100, 5000
"""Fewest and most runs of a batch. Source: measured; see ``benchmarks/history.py``. With more a run costs the same."""
_NAMES = {one.name for one in TWINS}
STATES = (RunState.SUCCEEDED, RunState.CANCELLED, RunState.DEAD)


class Mover:
    """Moves runs while this process leads the pruning. Nothing happens on a ledger without history."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._look_at = self._pass_at = app.clock.monotonic()
        self._settings: HistorySettings | None = None
        self._known: list[Partition] = []
        self._rules = Rules(Retention(kept_by_settings(app.settings)))
        self._layout: Layout | None = None
        self._beyond: dict[RunState, Place] = {}
        self._size = LEAST

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
        moved, left = 0, list(STATES)
        try:
            # In turns, so that a backlog of one state does not hold up the others.
            while left and clock.monotonic() - began < TURN_SECONDS:
                for state in tuple(left):
                    count, has_more = self._move(state)
                    moved += count
                    if not has_more:
                        left.remove(state)
            return bool(left)
        except HistoryBehind as error:
            self._settings = None  # Until the next look.
            log.warning(
                "History lacks columns, so no run moves: run jobledger migrate up",
                extra={"table": error.twin, "columns": list(error.missing)},
            )
        except TablesChanged:
            self._look_at = began
        finally:
            if moved:
                self._app.events.emit([RunsSwept("history", moved)])
        return False

    def _move(self, state: RunState) -> tuple[int, bool]:
        """Move one batch of runs in this state, and make the partitions that it needs.

        Returns how many, and whether there may be more.
        """
        return self._try_to_move(state) or self._try_to_move(state) or (0, True)

    def _try_to_move(self, state: RunState) -> tuple[int, bool] | None:
        """None if partitions were missing, which are there now."""
        assert self._layout is not None
        clock, size = self._app.clock, self._size
        self._size = max(LEAST, size // 4)  # If it fails, it may have been too large.
        began = clock.monotonic()
        with self._app.database.write() as connection:
            picked = pick.pick(
                connection,
                state,
                beyond=self._beyond.get(state),
                age=pick.LEASES * self._app.settings.lease,
                limit=size,
                kinds=self._rules.of_kinds,
                queues=self._rules.of_queues(state),
            )
            missing = [
                (part.rule, at)
                for part in picked.parts
                for at in (part.first_at, part.last_at)
                if not self._has_partition(part.rule, at)
            ]
            if not missing:
                move.move(connection, picked, self._layout)
        self._size = next_size(size, clock.monotonic() - began) if picked.count == size else size
        if missing:
            self._make(missing)
            return None
        if picked.last:
            self._beyond[state] = picked.last
        return picked.count, picked.count == size

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
            self._rules = Rules(read_retention(connection, self._app.settings))
            self._layout = layout_of(connection)
        now = self._app.clock.now()
        if self._settings.disabled_at is None:
            soon = period_of(now, self._settings.period).end
            self._make([(rule, at) for rule in RULES for at in (now, soon)])
        for one in drop_due(self._app, self._rules, self._known, self._make, seconds=TURN_SECONDS):
            self._known = [other for other in self._known if other.name != one.name]
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


def next_size(size: int, seconds: float) -> int:
    """How many runs to move next, after a full batch of ``size`` took that long: at most twice as many."""
    return max(LEAST, min(MOST, 2 * size, int(size * BATCH_SECONDS / max(seconds, 0.001))))
