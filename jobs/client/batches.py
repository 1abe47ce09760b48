"""Batches, for application code: jobs that belong together, and what follows when all of them have ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack
from uuid import UUID

from jobs import boot
from jobs.app import App
from jobs.client.followups import followups_of
from jobs.client.job import EnqueueOptions, Job
from jobs.client.lookup import run_uuid
from jobs.clock import new_run_id
from jobs.database.transactions.coroutines import call_in, serves_coroutines
from jobs.database.transactions.joining import begin_writing, joined
from jobs.enqueue.enqueuer import enqueuer
from jobs.enqueue.publish import announce, entries_of
from jobs.enqueue.room import ALL_OR_NONE, inside, make_room, may_be_limited
from jobs.enqueue.write_path import announce_runs, carrier
from jobs.errors import Conflict, EnqueueRefused, NotFound, StepRefused
from jobs.formats.shown import shown
from jobs.ledger.batches import find as finding
from jobs.ledger.batches.find import BatchRecord
from jobs.ledger.batches.gather import Child
from jobs.ledger.batches.members import NewBatch, live_members, make_batches, mark_cancelled
from jobs.ledger.runs.cancel import cancel_runs
from jobs.runtime import own_threads
from jobs.runtime.batch import members_of
from jobs.runtime.context import correlation_id, current_run, enclosing_session, session_to_join
from jobs.runtime.steps import check_name

if TYPE_CHECKING:
    from jobs.database.transactions.joining import AsyncSessionLike, SessionLike
    from jobs.ledger.records import FollowUp, Freed, NewRun

MAX_MEMBERS = 100_000
"""Jobs of one ``with jobs.batch(…)`` block. Source: decision; one transaction makes them all."""
MAX_DEPTH = 20
CANCELLED_AT_ONCE = 500


class Batch:
    """A batch that is being put together; ``jobs.batch`` makes it. Use it as a context manager.

    The end of the block makes the batch, its members and its callbacks in one transaction. An exception makes nothing.
    """

    def __init__(
        self, name: str, app: App, callbacks: Sequence[FollowUp], session: Any, outer: Batch | None = None
    ) -> None:
        try:
            check_name(name)
        except StepRefused as error:
            raise EnqueueRefused(f"{shown(name)} cannot name a batch.", hint=error.hint) from None
        self.id: UUID = new_run_id()
        self.name = name
        self._app = app
        self._callbacks = callbacks
        self._session = session
        self._outer = outer
        self._depth: int = 0 if outer is None else outer._depth + 1
        if self._depth > MAX_DEPTH:
            raise EnqueueRefused(f"Batches nest at most {MAX_DEPTH} deep.", hint="Put the jobs into fewer levels.")
        self._top: Batch = self if outer is None else outer._top
        self._every: list[Batch] = [self] if outer is None else outer._top._every
        self._members: list[NewRun] = []
        self._count = 0
        self._is_open = True

    def add(self, job: Job, **options: Unpack[EnqueueOptions]) -> UUID:
        """Add a job; ``options`` are those of ``Job.enqueue``, without ``session``. Returns the id of its run.

        A job whose key an equal run holds makes no run, and is no member.

        Raises:
            EnqueueRefused: it is no job, an option is invalid, or the batch has too many members.
            ArgumentsRefused: the arguments cannot be stored.
            Conflict: the block has ended.
        """
        if not self._is_open:
            raise Conflict(f"The block of batch {self.name!r} has ended.", hint="A member adds by self.run.batch.add.")
        if not isinstance(job, Job):
            raise EnqueueRefused(f"A batch takes jobs, got {shown(job)}.", hint="batch.add(Part(n=1))")
        if self._top._count >= MAX_MEMBERS:
            raise EnqueueRefused(
                f"One block takes at most {MAX_MEMBERS:,} jobs.",
                hint="Add a few jobs that add the others while they perform, by self.run.batch.add_many.",
            )
        run = job.new_run(self._app, **options)
        run.batch_id = self.id
        self._members.append(run)
        self._top._count += 1
        return run.id

    def add_many(self, many: Iterable[Job], **options: Unpack[EnqueueOptions]) -> list[UUID]:
        """Add jobs, all with these ``options``. Returns the ids of their runs. Raises the same as ``add``."""
        given: Any = many  # A job is iterable too (over its fields).
        if isinstance(given, Job) or not isinstance(given, Iterable):
            raise EnqueueRefused(f"add_many takes a list of jobs, got {shown(many)}.", hint="add_many([Part(n=1)])")
        return [self.add(job, **options) for job in many]

    def batch(
        self, name: str, *, on_success: Sequence[Job] = (), on_dead: Sequence[Job] = (), on_end: Sequence[Job] = ()
    ) -> Batch:
        """A batch inside this one, which counts as one member. It is made with the outer one, not before."""
        if not self._is_open:
            raise Conflict(f"The block of batch {self.name!r} has ended.", hint="Open the inner batch inside it.")
        callbacks = followups_of(self._app, succeeded=on_success, dead=on_dead, ended=on_end)
        inner = Batch(name, self._app, callbacks, None, self)
        self._every.append(inner)
        return inner

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_open = False
        if kind is not None:
            # The inner one's error leaves the outer block too, unless its code handles it: then the inner is left out.
            if self._outer is not None:
                self._every[:] = [one for one in self._every if not one._is_inside(self)]
        elif self._outer is None:
            self._make(self._session)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        session = enclosing_session() if self._session is None else self._session
        if kind is None and self._outer is None and session is not None and serves_coroutines(session):
            self._is_open = False
            await call_in(session, self._make)
        else:
            await own_threads.step(self.__exit__, kind, error, trace)

    def results(self) -> Iterator[Child]:
        """Its members once its block has ended, as ``FoundBatch.results``."""
        return find_batch(self.id).results()

    def cancel(self, *, reason: str | None = None) -> int:
        """Cancel it once its block has ended, as ``FoundBatch.cancel``."""
        return find_batch(self.id).cancel(reason=reason)

    def _is_inside(self, other: Batch) -> bool:
        one: Batch | None = self
        while one is not None:
            if one is other:
                return True
            one = one._outer
        return False

    def _make(self, session: Any) -> None:
        app, carry = self._app, carrier(self._app)
        performing = current_run.get()
        new = [
            NewBatch(
                id=one.id, name=one.name, parent_id=one._outer.id if one._outer is not None else None,
                depth=one._depth, run_id=performing.id if performing is not None else None,
                members=carry(one._members), callbacks=one._callbacks, enqueued_by=enqueuer(),
                correlation_id=correlation_id.get(),
            )
            for one in self._every
        ]  # fmt: skip
        session = session_to_join(app, session)
        runs = [run for one in self._every for run in one._members] if may_be_limited(app) else []
        if session is None:
            make_room(app, runs, ALL_OR_NONE)
            with app.database.write() as connection:
                made, freed = make_batches(connection, new, may_copy=True)
                app.database.send_notify(connection)
            _publish(app, made, freed)
            return
        with joined(session, app.database) as transaction:
            begin_writing(transaction.connection)
            make_room(app, runs, ALL_OR_NONE.without_waiting(), inside(transaction.connection))
            with transaction.connection.begin_nested():
                made, freed = make_batches(transaction.connection, new)
            app.database.send_notify(transaction.connection)
            transaction.after_commit([(made, freed)], partial(_publish_all, app))


class FoundBatch:
    """A batch, as ``jobs.find_batch`` returns it. ``record`` has its counts; ``refresh`` reads them again."""

    def __init__(self, app: App, record: BatchRecord) -> None:
        self._app = app
        self.record = record

    def __getattr__(self, name: str) -> Any:
        return getattr(self.record, name)

    def __repr__(self) -> str:
        return f"FoundBatch({self.record!r})"

    def refresh(self) -> FoundBatch:
        """The same batch as it is now."""
        return find_batch(self.record.id)

    def results(self) -> Iterator[Child]:
        """The members in the order in which they were enqueued, with their states and results; read page by page.

        Inner batches have their own: ``inner`` lists them.
        """
        return members_of(self._app, self.record.id)

    def inner(self) -> list[FoundBatch]:
        """The batches directly inside it, the latest first; at most 1,000."""
        with self._app.database.read() as connection:
            found = finding.list_batches(connection, inside=self.record.id, limit=1000)
        return [FoundBatch(self._app, one) for one in found]

    def cancel(self, *, reason: str | None = None) -> int:
        """Cancel its members and those of inner batches, and refuse further ones. Returns how many were live.

        Those that wait are cancelled at once; workers interrupt those that are running. The batch ends with the last.
        """
        app, count = self._app, 0
        with app.database.write(urgent=True) as connection:
            every = finding.inner_ids(connection, self.record.id)
            mark_cancelled(connection, every)
        after: UUID | None = None
        while True:
            with app.database.write(urgent=True) as connection:
                some = live_members(connection, every, after=after, limit=CANCELLED_AT_ONCE)
                cancelled = cancel_runs(connection, some, reason=reason)
                app.database.send_notify(connection)
            count += len(cancelled.states)
            announce(app, entries_of(cancelled.freed))
            if len(some) < CANCELLED_AT_ONCE:
                return count
            after = some[-1]


def batch(
    name: str,
    *,
    on_success: Sequence[Job] = (),
    on_dead: Sequence[Job] = (),
    on_end: Sequence[Job] = (),
    session: SessionLike | AsyncSessionLike | None = None,
) -> Batch:
    """A batch of jobs that belong together, made at the end of its block.

        with jobs.batch("import 42", on_success=[Report(day=day)], on_dead=[Alert(day=day)]) as batch:
            batch.add_many(Part(n=n) for n in range(500))

    The batch ends when its last member, or inner batch, has ended; one without members ends at once. Its callbacks are
    enqueued in the transaction that ends it, exactly once, whoever ends the last member. A replay of a dead member
    reopens it: its end is reported again, under the next generation.

    Args:
        name: for people; need not be unique.
        on_success: jobs to enqueue when it ends and all members have succeeded.
        on_dead: jobs to enqueue when the first member dies.
        on_end: jobs to enqueue when it ends, however.
        session: make it in this transaction, as for ``Job.enqueue``; with ``async with`` also as for ``enqueue_async``.

    Raises:
        EnqueueRefused: the name or a callback is invalid.
        QueueFull: at the end of the block: there is no room for all jobs of the batch; nothing was enqueued.
    """
    app = boot.current()
    return Batch(name, app, followups_of(app, succeeded=on_success, dead=on_dead, ended=on_end), session)


def find_batch(batch_id: UUID | str) -> FoundBatch:
    """The batch with this id.

    Raises:
        NotFound: there is no such batch.
    """
    app = boot.current()
    with app.database.read() as connection:
        record = finding.find_batch(connection, run_uuid(batch_id))
    if record is None:
        raise NotFound(f"There is no batch {batch_id}.")
    return FoundBatch(app, record)


async def find_batch_async(batch_id: UUID | str) -> FoundBatch:
    """``find_batch`` without blocking the event loop."""
    return await own_threads.step(find_batch, batch_id)


def _publish_all(app: App, told: Sequence[tuple[Sequence[NewRun], Sequence[Freed]]]) -> None:
    for made, freed in told:
        _publish(app, made, freed)


def _publish(app: App, made: Sequence[NewRun], freed: Sequence[Freed]) -> None:
    announce_runs(app, made)
    announce(app, entries_of(freed))
