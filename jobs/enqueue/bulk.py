"""Enqueues many runs in one transaction, by COPY on PostgreSQL, without having all of them in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice, repeat
from typing import TYPE_CHECKING

from jobs.app import App
from jobs.enqueue.room import ASK_CLASS, Full, inside, make_room, may_be_limited
from jobs.enqueue.unserved_warning import warn_if_unserved
from jobs.enqueue.write_path import Enqueued, announce_runs, carrier, enqueue_runs, is_plain, write_runs
from jobs.events import RunEnqueued
from jobs.ledger.admission.copy_in import MIN_COPY, copy_in
from jobs.ledger.records import NewRun, SimilarRun
from jobs.runtime.context import session_to_join

if TYPE_CHECKING:
    from jobs.database.transactions.joining import SessionLike


def enqueue_blocks(
    app: App, blocks: Iterable[Iterable[NewRun]], *, session: SessionLike | None = None, full: Full = ASK_CLASS
) -> list[Enqueued]:
    """``enqueue_runs`` for many runs, which are made while the server inserts them. Raises the same errors.

    On PostgreSQL and without a session, each block is one COPY of its plain runs; runs with a key or follow-ups are
    kept until the end. An error while a run is made undoes everything.

    Args:
        blocks: nothing may use this process's ledger while a block is read; it may between blocks.
    """
    if not is_copied(app, session):
        return enqueue_runs(app, list(chain.from_iterable(blocks)), session=session, full=full)
    rest = map(iter, blocks)
    begun = next(rest, iter(()))
    few = list(islice(begun, MIN_COPY))
    if len(few) < MIN_COPY:
        return enqueue_runs(app, [*few, *chain.from_iterable(rest)], full=full)
    if may_be_limited(app):
        # The first block may wait for room, since no transaction is open yet.
        first = list(chain(few, begun))
        has_room = make_room(app, first, full)
        return _copy(app, chain([first], rest), (has_room, full.without_waiting()))
    return _copy(app, chain([chain(few, begun)], rest))


def is_copied(app: App, session: SessionLike | None) -> bool:
    """Whether ``enqueue_blocks`` inserts many plain runs by COPY."""
    return app.database.dialect == "postgresql" and session_to_join(app, session) is None


def _copy(
    app: App, blocks: Iterable[Iterable[NewRun]], limited: tuple[list[bool], Full] | None = None
) -> list[Enqueued]:
    """``limited``: which runs of the first block have room, and what to do with those of the others that have none."""
    bulk = _Bulk(app)
    with app.database.write() as connection:
        for place, block in enumerate(blocks):
            if limited is None:
                copy_in(connection, bulk.plain(block))
                continue
            has_room, full = limited
            runs = list(block)
            if place:
                has_room = make_room(app, runs, full, inside(connection))
            copy_in(connection, bulk.plain(runs, has_room))
        admitted = write_runs(connection, bulk.careful) if bulk.careful else []
        app.database.send_notify(connection)
    for place, one in zip(bulk.places, admitted, strict=True):
        bulk.results[place] = Enqueued(one.run.id, one.created)
    announce_runs(app, [*bulk.announced, *(one.run for one in admitted)])
    warn_if_unserved(app, bulk.queues)
    return bulk.results


class _Bulk:
    """What is known of the runs once they have been copied."""

    def __init__(self, app: App) -> None:
        self._carry = carrier(app) if app.settings.tracing else None
        self._announces = app.ready is not None or app.events.has_subscriber(RunEnqueued)
        self.results: list[Enqueued] = []
        self.careful: list[NewRun] = []
        self.places: list[int] = []
        """The place among the results of each of ``careful``."""
        self.announced: list[NewRun] = []
        self.queues: set[str] = set()

    def plain(self, block: Iterable[NewRun], has_room: Iterable[bool] = repeat(True)) -> Iterator[NewRun]:
        """Those of ``block`` that COPY inserts; the others are kept in ``careful``, or dropped without room."""
        like: NewRun | None = None
        can_copy = False
        for run, fits in zip(block, has_room, strict=False):
            if not fits:
                self.results.append(Enqueued(run.id, created=False, is_dropped=True))
                continue
            if self._carry is not None:
                (run,) = self._carry([run])
            likeness = run.like if type(run) is SimilarRun else None
            if likeness is None or likeness is not like:
                like = likeness
                self.queues.add(run.queue)
                can_copy = is_plain(run)
            if can_copy:
                if self._announces:
                    self.announced.append(run)
                self.results.append(Enqueued(run.id))
                yield run
            else:
                self.places.append(len(self.results))
                self.careful.append(run)
                self.results.append(Enqueued(run.id))
