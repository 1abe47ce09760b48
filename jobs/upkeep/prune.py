"""Deletes rows whose retention time is over, in small batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

from jobs.app import App
from jobs.database.sql import Executor
from jobs.events import RunsSwept
from jobs.ledger.admission.keys import forget_lapsed
from jobs.ledger.batches.prune import prune_batches
from jobs.ledger.effects.groups import prune_groups
from jobs.ledger.operators.audit_chain import prune_links
from jobs.ledger.operators.retention import Retention, read_retention
from jobs.ledger.queries.plan_parts import ended_names
from jobs.ledger.releases import forget_releases
from jobs.ledger.runs import prune
from jobs.ledger.schedules.slots import prune_slots
from jobs.ledger.workers import forget_old
from jobs.states import RunState
from jobs.storage.collector import Collector
from jobs.upkeep.lead import Lead

ROLE = "pruner"
TURN_SECONDS = 1.0
"""Longest turn, so that the other tasks run too. Source: decision."""
RELEASES_KEPT = timedelta(days=365)
"""Most time that the release of a worker process is kept for the attempts that name it. Source: decision."""
WORKERS_KEPT = timedelta(days=1)
"""Shortest time that the row of a dead worker process is kept. Source: decision."""
GROUPS_KEPT = timedelta(days=730)
"""How long an inactive group is kept: its messages may wait long. Source: decision; a row is small."""

BATCHES_KEPT = timedelta(days=30)
"""How long a batch without members is kept after its end. Source: decision; its members were kept for longer."""

Batch = Callable[[Executor], int]
"""Deletes one limited batch; returns the number of rows."""


class Pruner:
    """Prunes if this process leads."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._lead = Lead(app, ROLE)
        self._collector = Collector(app)

    @property
    def leads(self) -> bool:
        """Whether this process led when it last looked."""
        return self._lead.leads

    def turn(self) -> bool:
        """Delete for a second at most, each batch in a transaction of its own; returns whether there is more to delete.

        Raises:
            ServiceDown: the ledger does not answer.
        """
        clock = self._app.clock
        began = clock.monotonic()
        if not self._lead.is_due():
            return False
        for name, batch in self._batches():
            gone = 0
            while (deleted := self._delete(batch)) and clock.monotonic() - began < TURN_SECONDS:
                gone += deleted
            if gone + deleted:
                self._app.events.emit([RunsSwept(name, gone + deleted)])
            if deleted:
                return True
        collected = self._collector.collect(should_go_on=lambda: clock.monotonic() - began < TURN_SECONDS)
        if collected.deleted:
            self._app.events.emit([RunsSwept("prune_stored", collected.deleted)])
        if collected.has_more:
            return True
        self._lead.rest()
        return False

    def _delete(self, batch: Batch) -> int:
        with self._app.database.write() as connection:
            return batch(connection)

    def _retained(self) -> tuple[Retention, list[tuple[RunState, str, str]]]:
        """How long runs are kept; if a queue or kind has its own time, also each (state, queue, kind) of ended runs.

        Then each is a range of an index: runs that are kept for longer are not read over again and again.
        """
        with self._app.database.read() as connection:
            kept = read_retention(connection, self._app.settings)
            return kept, ended_names(connection) if kept.has_own else []

    def _batches(self) -> Iterator[tuple[str, Batch]]:
        settings = self._app.settings
        kept, names = self._retained()
        for state, span in kept.states.items():
            if span is not None and not kept.has_own:
                yield "prune", _of_state(state, span)
            for of, queue, kind in names:
                own = kept.span_of(state, queue, kind)
                if of is state and own is not None:
                    yield "prune", _of_state(state, own, (queue, kind))
        if (purged := settings.retain_purged) is not None:
            yield "prune", lambda session: prune.prune_purged(session, after=purged)
        yield "prune_keys", forget_lapsed
        yield "prune_groups", lambda session: prune_groups(session, after=GROUPS_KEPT)
        yield "prune_batches", lambda session: prune_batches(session, after=BATCHES_KEPT)
        if (slots := settings.retain_slots) is not None:
            yield "prune_slots", lambda session: prune_slots(session, after=slots)
        gone = max(WORKERS_KEPT, 10 * settings.unknown_kind_wait)
        yield "prune_workers", lambda session: forget_old(session, after=gone)
        longest = max(RELEASES_KEPT if span is None else span for span in kept.spans())
        yield "prune_workers", lambda session: forget_releases(session, after=max(gone, min(longest, RELEASES_KEPT)))
        if (audit := settings.retain_audit) is not None:
            yield "prune_audit", lambda session: prune.prune_audit(session, after=audit)
            yield "prune_audit", lambda session: prune_links(session, after=audit)


def _of_state(state: RunState, span: timedelta, name: tuple[str, str] | None = None) -> Batch:
    return lambda session: prune.prune_ended(session, state, after=span, name=name)
