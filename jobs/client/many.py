"""Enqueues many jobs in one transaction, and returns their runs in the same order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from jobs import boot
from jobs.client.job import EnqueueOptions, Job, OnConflict
from jobs.definition.max_waiting import OnFull
from jobs.errors import EnqueueRefused
from jobs.formats.shown import shown
from jobs.runtime.context import enclosing_session
from jobs.runtime.rows import rows_of
from jobs.storage.finding import written
from jobs.storage.packing import made_in

if TYPE_CHECKING:
    from jobs.app import App
    from jobs.database.transactions.joining import AsyncSessionLike, SessionLike
    from jobs.enqueue.write_path import Enqueued
    from jobs.ledger.records import NewRun


BLOCK = 5_000
"""Jobs that are inserted by one statement. Source: decision; a statement of a tenth of a second, a few megabytes."""


class EnqueueManyOptions(TypedDict, total=False):
    """The options of ``enqueue_many_async``, the same as those of ``enqueue_many``."""

    spread: timedelta | None
    delay: timedelta | None
    on_conflict: OnConflict
    tags: Sequence[str]
    on_full: OnFull | None
    full_timeout: timedelta | None


def enqueue_many(
    many: Iterable[Job],
    *,
    session: SessionLike | None = None,
    spread: timedelta | None = None,
    delay: timedelta | None = None,
    on_conflict: OnConflict = "keep",
    tags: Sequence[str] = (),
    on_full: OnFull | None = None,
    full_timeout: timedelta | None = None,
) -> list[Enqueued]:
    """Record a run of each job, all in one transaction. Returns their ids in the order of ``many``.

    An iterator is read in blocks of ``BLOCK`` jobs. On PostgreSQL, without ``session`` and ``spread``, a block is
    inserted before the next one is read, so that memory grows by the results only; the transaction is open from the
    first block on.

    Args:
        session: as for ``Job.enqueue``.
        spread: make them due evenly over this span, instead of all at once; zero or more.
        on_conflict: as for ``Job.enqueue``, for jobs that have a key.
        on_full: as for ``Job.enqueue``. ``raise`` enqueues all or none, ``drop`` those that fit. ``wait``
            waits until there is room for the first ``BLOCK`` jobs, before the transaction begins.
        full_timeout: as for ``Job.enqueue``.

    Raises:
        ArgumentsRefused: the arguments of a job cannot be stored; nothing was enqueued.
        EnqueueRefused: an item is not a job, or an option is invalid; nothing was enqueued.
        KeyConflict: a run with other arguments holds a key; nothing was enqueued.
        QueueFull: there is no room for all of them; nothing was enqueued.
        ServiceDown, StoredMissing: as ``Job.enqueue``; nothing was enqueued.
    """
    app = boot.current()
    from jobs.enqueue.bulk import enqueue_blocks, is_copied
    from jobs.enqueue.room import Full

    full = Full(on_full, full_timeout)

    many = _checked(many)
    if spread is not None and (not isinstance(spread, timedelta) or spread < timedelta(0)):
        raise EnqueueRefused(f"spread= takes a timedelta of zero or more, got {shown(spread)}.")
    if delay is not None and not isinstance(delay, timedelta):
        raise EnqueueRefused(f"delay= takes a timedelta, got {shown(delay)}.")
    step = timedelta(0)
    if spread:
        many = list(many)
        step = spread / max(1, len(many))

    runs = _Runs(app, first=delay or timedelta(0), step=step, on_conflict=on_conflict, tags=tags)
    if app.settings.store_above is not None:
        made = (_made_now(app, session, partial(list, block)) for block in runs.blocks(many))
        return enqueue_blocks(app, made, session=session, full=full)
    # Trace context is added to a copy of each run.
    runs.may_repeat = not spread and not app.settings.tracing and is_copied(app, session)
    return enqueue_blocks(app, runs.blocks(many), session=session, full=full)


async def enqueue_many_async(
    many: Iterable[Job], *, session: AsyncSessionLike | None = None, **options: Unpack[EnqueueManyOptions]
) -> list[Enqueued]:
    """``enqueue_many`` for async callers: in the transaction of ``session``, or without blocking the event loop.

    Without ``session=``, a call that is cancelled while it waits may still record its runs, because a statement that
    has begun is not undone.
    """
    from jobs.runtime.off_loop import off_loop

    session = enclosing_session() if session is None else session
    if session is None:
        return await off_loop(enqueue_many, many, **options)
    app = boot.current()
    from jobs.database.transactions.coroutines import apart, call_in

    given = iter(_checked(many))

    def stored_apart() -> Iterator[Job]:
        while block := list(islice(given, BLOCK)):
            storing = [job for job in block if getattr(job, "_stored_fields", None)]
            if storing:
                apart(partial(_write_all, app, storing), off_loop)
            yield from block

    return await call_in(session, lambda plain: enqueue_many(stored_apart(), session=plain, **options))


def _write_all(app: App, many: Iterable[Job]) -> None:
    for job in many:
        written(app, job)


def _made_now(app: App, session: SessionLike | None, make: Callable[[], list[NewRun]]) -> list[NewRun]:
    """The runs of a block, whose large arguments go to the store before the block is inserted."""
    if app.database.dialect == "sqlite":
        return made_in(app, session, make)
    from jobs.database.transactions.coroutines import apart
    from jobs.runtime.off_loop import off_loop

    return apart(make, off_loop)


class _Runs:
    """Makes the runs of one call."""

    def __init__(
        self, app: App, *, first: timedelta, step: timedelta, on_conflict: OnConflict, tags: Sequence[str]
    ) -> None:
        self._app = app
        self._first, self._step = first, step
        self._on_conflict = on_conflict
        # Jobs of a call without options have none, and are made in less time.
        self._options: EnqueueOptions = {"tags": tags} if tags != () else {}
        self._known: set[type] = set()
        self.may_repeat = False
        """Whether runs of one class may share all values besides their ids and arguments."""

    def blocks(self, many: Iterable[Job]) -> Iterator[Iterator[NewRun]]:
        """The runs of ``many``, made when they are read; ``many`` is read block by block."""
        rest, place = iter(many), 0
        while block := list(islice(rest, BLOCK)):
            if any(getattr(one, "_stored_fields", None) for one in set(map(type, block))):
                # Now, because nothing else may use the ledger while the block is inserted.
                _write_all(self._app, (job for job in block if getattr(job, "_stored_fields", None)))
            yield self._runs_of(block, place)
            place += len(block)

    def _runs_of(self, block: Sequence[Job], place: int) -> Iterator[NewRun]:
        if self.may_repeat:
            return rows_of(block, self._new_run, self._app)
        return (self._new_run(job, number) for number, job in enumerate(block, place))

    def _new_run(self, job: Job, place: int = 0) -> NewRun:
        if type(job) not in self._known:
            # Asking a class of pydantic takes as long as making the run's id.
            if not isinstance(job, Job):
                raise _not_jobs(job)
            self._known.add(type(job))
        due = self._first + place * self._step if self._step else self._first
        options: EnqueueOptions = {**self._options, "delay": due} if due else self._options
        if self._on_conflict != "keep" and _has_key(type(job)):
            options = {**options, "on_conflict": self._on_conflict}
        return job.new_run(self._app, **options)


def _checked(many: Any) -> Iterable[Job]:
    if not isinstance(many, Iterable) or isinstance(many, Job):  # A job is iterable too (over its fields).
        raise _not_jobs(many)
    return many


def _not_jobs(given: Any) -> EnqueueRefused:
    return EnqueueRefused(
        f"enqueue_many takes a list of jobs, got {shown(given)}.", hint="enqueue_many([SendMail(order_id=7)])"
    )


def _has_key(cls: type[Job]) -> bool:
    return cls.idempotency_key is not Job.idempotency_key
