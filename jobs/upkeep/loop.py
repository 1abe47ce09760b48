"""The upkeep loop: runs every maintenance task in turn, on a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial

from jobs.app import App
from jobs.enqueue.publish import announce
from jobs.errors import JobsError
from jobs.events import RunsSwept, ServiceFailed
from jobs.ledger.rare_rows import RareRows, rare_rows
from jobs.ready.protocol import ReadyEntry
from jobs.upkeep.audit_chain import CHAIN_SECONDS, chain_audit
from jobs.upkeep.batches import BatchSweep
from jobs.upkeep.breakers import sweep_breakers
from jobs.upkeep.history import Mover
from jobs.upkeep.ledger_reach import Reach
from jobs.upkeep.limits import reassign_parked
from jobs.upkeep.prune import TURN_SECONDS, Pruner
from jobs.upkeep.quick_read import quick_read
from jobs.upkeep.reconcile import reconcile
from jobs.upkeep.rescue import LeaseSearch, expire_waiting, rescue_abandoned
from jobs.upkeep.targets import TargetCounter
from jobs.upkeep.unknown_kinds import dead_letter_unknown

log = logging.getLogger("jobs.upkeep")

MOVE_SECONDS = 0.25
"""Rest between two turns of moves to history. Source: decision; a move must keep pace with a drain at full speed."""
Task = Callable[[App], tuple[int, list[ReadyEntry]]]
"""Does one limited batch; returns the number of runs it moved, and entries for the ready index."""


class Upkeep(threading.Thread):
    """Runs rescue, expiry, dead-lettering, pruning and repair of the ready index, as long as the process lives.

    A task that fails is retried in the next round.
    """

    def __init__(self, app: App) -> None:
        super().__init__(name="jobs-upkeep", daemon=True)
        self._app = app
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._pruner = Pruner(app)
        self._mover = Mover(app)
        self._target_counter = TargetCounter(app)
        self._batch_sweep = BatchSweep(app)
        self._prunes_on = self._moves_on = False
        self._is_behind = False
        self._rounds = 0
        self._reach = Reach(app.clock, lease=app.settings.lease)
        self._search = LeaseSearch(app.clock)
        self._dead_letter_at = app.clock.monotonic() + app.settings.unknown_kind_wait.total_seconds()
        self._more: list[tuple[str, Callable[[], None]]] = []

    def add(self, name: str, duty: Callable[[], None]) -> None:
        """Call ``duty`` in every round too. Call it before the start."""
        self._more.append((name, duty))

    def run(self) -> None:
        clock = self._app.clock
        self._reach.lost()  # The ledger may have come back only a moment ago.
        next_at = chain_at = clock.monotonic()
        while not self._stopping.is_set():
            # Only the process that leads the pruning looks often, so an idle fleet asks twice a second.
            due_at = min(next_at, chain_at) if self._pruner.leads else next_at
            hurried = self._wake.wait(max(0.0, due_at - clock.monotonic()))
            self._wake.clear()
            if self._stopping.is_set():
                return
            if self._pruner.leads and clock.monotonic() >= chain_at:
                self._try("audit_chain", partial(chain_audit, self._app))
                chain_at = clock.monotonic() + CHAIN_SECONDS
                if not hurried and clock.monotonic() < next_at:
                    continue
            self._try("reconcile", self._reconcile)
            if not hurried or clock.monotonic() >= next_at:
                self.round()
                # With more to delete, it rests as long as it has worked; with more to move, for less.
                more = MOVE_SECONDS if self._moves_on else TURN_SECONDS if self._prunes_on else None
                pause = more if more is not None else self._reach.every_seconds * (0.75 + clock.rng.random() / 2)
                next_at = clock.monotonic() + pause

    def check_index_now(self) -> None:
        """Check the ready index now, because it has lost its entries. Any thread may call it."""
        self._wake.set()

    def found_nothing(self) -> None:
        """The ready index was empty for a worker: if overdue runs are left to add, add them now."""
        if self._is_behind and not self._wake.is_set():
            self._wake.set()

    def stop(self) -> None:
        self._stopping.set()
        self._wake.set()
        self.join(5)

    def round(self) -> None:
        """Run every task once, each until it finds nothing more; tasks that can wait run every other time."""
        tasks: list[tuple[str, Task]] = [("rescue", partial(rescue_abandoned, reach=self._reach, search=self._search))]
        # An idle process asks rarely: claims skip expired runs anyway, whether they are dead-lettered yet or not.
        if self._rounds % 2 == 0:
            tasks.append(("expire", expire_waiting))
        self._rounds += 1
        # Only a process that was up for the whole wait can tell that no worker knew a kind for that long.
        if self._app.clock.monotonic() >= self._dead_letter_at:
            self._dead_letter_at = (
                self._app.clock.monotonic() + self._app.settings.unknown_kind_wait.total_seconds() / 10
            )
            tasks.append(("unknown_kind", dead_letter_unknown))
        for name, task in tasks:
            self._try(name, partial(self._do, name, task))
        for name, task in self._sweeps():
            self._try(name, partial(self._do, name, task))
        self._try("batches", self._batch_sweep.turn)
        self._prunes_on = False
        self._try("prune", self._prune)
        for name, more in self._more:
            self._try(name, more)
        self._moves_on = False
        if self._pruner.leads:
            self._try("history", self._move)
            self._try("targets", self._target_counter.turn)

    def _sweeps(self) -> list[tuple[str, Task]]:
        """The sweeps of breakers and limits; those that have nothing to look at are left out."""
        there = RareRows(of_breakers=True, of_limits=True)
        try:
            with quick_read(self._app.database) as runner:
                there = rare_rows(runner)
        except Exception:
            log.debug("Rare rows not read", exc_info=True)  # The sweeps meet the same, and report it.
        found: list[tuple[str, Task]] = [("breakers", sweep_breakers)] if there.of_breakers else []
        # Slots of runs that were just rescued have been handed on with them.
        return [*found, ("limits", reassign_parked)] if there.of_limits else found

    def _reconcile(self) -> None:
        self._is_behind = False
        self._is_behind = reconcile(self._app)

    def _prune(self) -> None:
        self._prunes_on = self._pruner.turn()

    def _move(self) -> None:
        self._moves_on = self._mover.turn()

    def _try(self, name: str, do: Callable[[], None]) -> None:
        try:
            do()
        except JobsError as error:
            self._reach.lost()
            self._app.events.emit([ServiceFailed("ledger", name, str(error))])
        except Exception:
            log.exception("Upkeep task failed; it will be retried", extra={"duty": name})

    def _do(self, name: str, task: Task) -> None:
        while not self._stopping.is_set():
            moved, entries = task(self._app)
            self._reach.answered()
            announce(self._app, entries)
            if not moved:
                return
            self._app.events.emit([RunsSwept(name, moved)])
