"""Deletes rows whose retention time is over, in small batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

from jobs.app import App
from jobs.clock import new_token
from jobs.database.sql import Executor
from jobs.enqueue.enqueuer import enqueuer
from jobs.events import RunsSwept
from jobs.ledger.admission.keys import forget_lapsed
from jobs.ledger.batches.prune import prune_batches
from jobs.ledger.effects.groups import prune_groups
from jobs.ledger.runs import prune
from jobs.ledger.schedules import leader
from jobs.ledger.schedules.slots import prune_slots
from jobs.ledger.workers import forget_old
from jobs.states import RunState

ROLE = "pruner"
LEASE = timedelta(minutes=3)
"""How long a silent pruner keeps the lead. Source: three looks."""
LOOK_SECONDS = 60.0
"""Seconds between two looks for rows to delete, varied by a quarter. Source: decision; retention is days."""
TURN_SECONDS = 1.0
"""Longest turn, so that the other tasks run too. Source: decision."""
WORKERS_KEPT = timedelta(days=1)
"""Shortest time that the row of a dead worker process is kept. Source: decision."""
GROUPS_KEPT = timedelta(days=730)
"""How long an inactive group is kept: its messages may wait long. Source: decision; a row is small."""

BATCHES_KEPT = timedelta(days=30)
"""How long a batch without members is kept after its end. Source: decision; its members were kept for longer."""

Batch = Callable[[Executor], int]
"""Deletes one limited batch; returns the number of rows."""


class Pruner:
    """Prunes if this process leads. One process does the work only to save effort: concurrent batches are safe."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._holder = f"{enqueuer()}/{new_token().hex[:8]}"
        self._look_at = app.clock.monotonic()

    def turn(self) -> bool:
        """Delete for a second at most, each batch in a transaction of its own; returns whether there is more to delete.

        Raises:
            ServiceDown: the ledger does not answer.
        """
        clock = self._app.clock
        began = clock.monotonic()
        if began < self._look_at or not self._leads():
            return False
        for name, batch in self._batches():
            gone = 0
            while (deleted := self._delete(batch)) and clock.monotonic() - began < TURN_SECONDS:
                gone += deleted
            if gone + deleted:
                self._app.events.emit([RunsSwept(name, gone + deleted)])
            if deleted:
                return True
        self._look_at = clock.monotonic() + LOOK_SECONDS * (0.75 + clock.rng.random() / 2)
        return False

    def _leads(self) -> bool:
        """Whether this process leads; one that does not looks again in a minute."""
        clock = self._app.clock
        with self._app.database.read() as connection:
            current = leader.leader(connection, ROLE, lease=LEASE)
        leads = current is None or not current.is_live or current.holder == self._holder
        if leads:
            with self._app.database.write() as connection:
                leads = leader.lead(connection, ROLE, self._holder, lease=LEASE)
        if not leads:
            self._look_at = clock.monotonic() + LOOK_SECONDS * (0.75 + clock.rng.random() / 2)
        return leads

    def _delete(self, batch: Batch) -> int:
        with self._app.database.write() as connection:
            return batch(connection)

    def _batches(self) -> Iterator[tuple[str, Batch]]:
        settings = self._app.settings
        kept = (
            (RunState.SUCCEEDED, settings.retain_succeeded),
            (RunState.CANCELLED, settings.retain_cancelled),
            (RunState.DEAD, settings.retain_dead),
        )
        for state, span in kept:
            if span is not None:
                yield "prune", _of_state(state, span)
        if (purged := settings.retain_purged) is not None:
            yield "prune", lambda session: prune.prune_purged(session, after=purged)
        yield "prune_keys", forget_lapsed
        yield "prune_groups", lambda session: prune_groups(session, after=GROUPS_KEPT)
        yield "prune_batches", lambda session: prune_batches(session, after=BATCHES_KEPT)
        if (slots := settings.retain_slots) is not None:
            yield "prune_slots", lambda session: prune_slots(session, after=slots)
        gone = max(WORKERS_KEPT, 10 * settings.unknown_kind_wait)
        yield "prune_workers", lambda session: forget_old(session, after=gone)
        if (audit := settings.retain_audit) is not None:
            yield "prune_audit", lambda session: prune.prune_audit(session, after=audit)


def _of_state(state: RunState, span: timedelta) -> Batch:
    return lambda session: prune.prune_ended(session, state, after=span)
