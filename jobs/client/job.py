"""Job: the base class of application jobs. Typed fields are its arguments; ``perform`` does the work.

Declaring a job loads no database code: the first call that enqueues does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypedDict, Unpack

from pydantic import BaseModel, ConfigDict

from jobs import boot
from jobs.client.async_enqueue import enqueue_job
from jobs.client.followups import followups_of
from jobs.client.job_class import JobMeta
from jobs.client.plain_arguments import arguments_of
from jobs.clock import new_run_id
from jobs.definition.checks import is_filled_in
from jobs.definition.enqueue_options import chosen
from jobs.definition.equality import canonical
from jobs.definition.max_waiting import OnFull
from jobs.definition.options import Options
from jobs.definition.secret import Sealing
from jobs.enqueue.enqueuer import enqueuer
from jobs.errors import EnqueueRefused
from jobs.ledger.records import NewRun, similar_run
from jobs.runtime.context import correlation_id, current_run
from jobs.storage.finding import written
from jobs.storage.packing import made_in, pack_arguments, packs

if TYPE_CHECKING:
    from jobs.app import App
    from jobs.database.transactions.joining import AsyncSessionLike, SessionLike
    from jobs.enqueue.write_path import Enqueued
    from jobs.runtime.run import Run

OnConflict = Literal["keep", "replace"]
OnParentDead = Literal["cancel", "run", "hold"]


class EnqueueOptions(TypedDict, total=False):
    """The options of an enqueue call; ``Job.enqueue`` describes them."""

    queue: str | None
    delay: timedelta | None
    at: datetime | None
    priority: int | None
    key: str | None
    on_conflict: OnConflict
    expires: timedelta | datetime | None
    tags: Sequence[str]
    on_success: Sequence[Job]
    on_dead: Sequence[Job]
    on_cancelled: Sequence[Job]
    after: Sequence[Any]
    on_parent_dead: OnParentDead


class Job(BaseModel, metaclass=JobMeta):
    """Base class of jobs: fields are arguments, class keywords are options, ``perform`` does the work.

    >>> class SendInvoice(Job, queue="mail", timeout=timedelta(seconds=30)):
    ...     order_id: int
    ...
    ...     def perform(self) -> None:
    ...         send(self.order_id)
    >>> SendInvoice(order_id=7).enqueue()

    A job may be performed more than once (a worker may die after the work and before the record), so make it
    idempotent, or write through ``self.run.transaction()``.
    """

    # No protected namespaces: the metaclass refuses names of members itself, with our own message. A field with an
    # alias also accepts its name, because the ledger stores arguments by name.
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        validate_default=True,
        validate_by_name=True,
        validate_by_alias=True,
        protected_namespaces=(),
    )
    options: ClassVar[Options] = Options()
    _write_own: ClassVar[Any] = None
    _sealing: ClassVar[Sealing | None] = None
    _stored_fields: ClassVar[frozenset[str]] = frozenset()
    __slots__ = ("_bound_run",)

    def perform(self) -> Any:
        """Do the work. May return a JSON value, which is stored as the run's result; may be ``async``."""
        raise NotImplementedError(f"{type(self).__name__} has no perform method.")

    @classmethod
    def prepare(cls) -> None:
        """Prepare what every run of this kind needs: load a model, open a client. Override it.

        The worker calls it once per process, before the kind's first run there, outside the time limit. If it fails,
        the run waits uncharged, and the worker calls it again later.
        """

    @property
    def run(self) -> Run:
        """The run that is being performed.

        Raises:
            EnqueueRefused: this job is not being performed.
        """
        try:
            bound: Run = object.__getattribute__(self, "_bound_run")
        except AttributeError:
            raise EnqueueRefused(
                f"{type(self).__name__} has no run: it is not being performed.", hint="Use self.run inside perform."
            ) from None
        return bound

    def bind(self, run: Run) -> None:
        """For workers and tests: bind the job to the run that it performs."""
        object.__setattr__(self, "_bound_run", run)

    def enqueue(
        self,
        *,
        session: SessionLike | None = None,
        on_full: OnFull | None = None,
        full_timeout: timedelta | None = None,
        **options: Unpack[EnqueueOptions],
    ) -> Enqueued:
        """Record a run of this job, which a worker will perform.

        Args:
            session: enqueue in the transaction of this session or connection: the run exists once its owner commits.
                Takes SQLAlchemy's sessions and Core connections, connections of psycopg and sqlite3, and the name of a
                Django connection: ``"django:default"``.
            on_full: what to do when the queue or the kind is full; overrides the option of the class. ``raise``: raise
                ``QueueFull``. ``drop``: make no run; the result is ``is_dropped``. ``wait``: wait for room, and raise
                ``QueueFull`` if there is none in time; inside a transaction it does not wait.
            full_timeout: how long ``on_full="wait"`` waits; 10 seconds by default.
            queue: overrides the queue of the class.
            priority: overrides the priority of the class; -1000 to 1000, smaller first.
            delay: do not start before this much time has passed; zero to a hundred years.
            at: do not start before this aware moment; not together with ``delay``.
            key: overrides ``idempotency_key()``. While a run holds the key, no second run of the kind is made.
            on_conflict: what happens when a run holds the key. ``keep``: if the arguments are equal, return that run.
                ``replace``: a waiting run takes these arguments and this time. If that run is running, return it, and
                enqueue a successor when it ends.
            expires: the run is dead as ``expired`` if it has not started by this moment, or after this span.
            tags: words to find the run by.
            on_success: jobs that are enqueued in the transaction that ends the run as succeeded.
            on_dead: the same, for a run that dies.
            on_cancelled: the same, for a run that is cancelled.
            after: runs that must end before this one starts: ids, or what ``enqueue`` returned; at most 1,000.
                ``self.run.parents()`` gives their results.
            on_parent_dead: what happens when one of them is dead or cancelled. ``cancel``: this run is cancelled.
                ``run``: it starts when all have ended. ``hold``: it waits until that one was replayed and succeeds.

        Returns:
            The run's id, and whether this call created it.

        Raises:
            ArgumentsRefused: the arguments cannot be stored.
            EnqueueRefused: an option is invalid.
            KeyConflict: a run with other arguments holds the key; the session's transaction stays usable.
            KeyBusy: another transaction with the key has not ended within ``lock_timeout``.
            QueueFull: as many runs of the queue or kind wait as may; nothing was enqueued.
            ServiceDown: the ledger does not answer, or (``StoreDown``) the store of a stored argument; nothing was
                enqueued.
            StoredMissing: a stored argument was written more than a day ago, and removed since; nothing was enqueued.
        """
        app = boot.current()
        from jobs.enqueue.write_path import enqueue_runs

        if session is None:
            run = self.new_run(app, **options)
        else:
            run = made_in(app, session, partial(self.new_run, app, **options))
        if on_full is None and full_timeout is None:
            return enqueue_runs(app, [run], session=session)[0]
        from jobs.enqueue.room import Full

        return enqueue_runs(app, [run], session=session, full=Full(on_full, full_timeout))[0]

    async def enqueue_async(
        self,
        *,
        session: AsyncSessionLike | None = None,
        on_full: OnFull | None = None,
        full_timeout: timedelta | None = None,
        **options: Unpack[EnqueueOptions],
    ) -> Enqueued:
        """``enqueue`` for async callers: in the transaction of ``session``, or without blocking the event loop.

        Takes and raises the same as ``enqueue``. ``session`` is an ``AsyncSession``, an ``AsyncConnection``, a
        connection of asyncpg, psycopg or aiosqlite, or the name of a Django connection.

        Without ``session=``, a call that is cancelled while it waits (by a timeout, or a disconnected client) may have
        recorded the run, because its statement goes on. Give a key if you will call again.
        """
        app = boot.current()

        def enqueue_in(plain: SessionLike) -> Enqueued:
            return self.enqueue(session=plain, on_full=on_full, full_timeout=full_timeout, **options)

        return await enqueue_job(
            app, self, session=session, on_full=on_full, full_timeout=full_timeout,
            make=partial(self.new_run, app, **options), enqueue_in=enqueue_in,
        )  # fmt: skip

    def idempotency_key(self) -> str | None:
        """The unique key of this job; None for no key. With ``unique``, one key has at most one run of the kind."""
        return None

    @classmethod
    def upcast(cls, arguments: dict[str, Any], version: int) -> dict[str, Any]:
        """Convert arguments stored by an earlier ``version`` of this job to the current form. Override it."""
        return arguments

    def new_run(self, app: App, **options: Unpack[EnqueueOptions]) -> NewRun:
        """For enqueueing: the ledger row for this job."""
        if options and not options.keys() <= _ENQUEUE_OPTIONS:
            unknown = min(options.keys() - _ENQUEUE_OPTIONS)
            raise TypeError(f"{type(self).__name__}.enqueue() got an unexpected keyword argument {unknown!r}")
        declared = self.options
        if type(self).perform is Job.perform:
            raise EnqueueRefused(f"{type(self).__name__} has no perform method.", hint="Give it a perform method.")
        if is_filled_in(type(self)):
            raise EnqueueRefused(
                f"{type(self).__name__} has no kind, so no worker could find its class.",
                hint="Give it a name: class ExportOrders(Export[Order]): ….",
            )
        parent = current_run.get()
        blobs = written(app, self) if self._stored_fields else ()
        settings = app.settings
        is_packed = settings.store_above is not None and packs(app, type(self))
        most = settings.max_stored_bytes if is_packed else settings.max_argument_bytes
        arguments = arguments_of(self, kind=declared.kind, max_bytes=most)
        key = self.idempotency_key() if options.get("key") is None else options["key"]
        values: dict[str, Any] = {"queue": declared.queue, "priority": declared.priority}
        if options or key is not None or declared.unique is not None:
            canonical_text = canonical(self, arguments) if key is not None else ""
            if key is not None and self._sealing is not None:
                canonical_text = app.seals.hash_text(app, "arguments", canonical_text)
            values |= chosen(declared, options, key, canonical_text)
            values["followups"] = followups_of(
                app,
                succeeded=options.get("on_success", ()),
                dead=options.get("on_dead", ()),
                cancelled=options.get("on_cancelled", ()),
            )
        if is_packed:
            arguments, more = pack_arguments(app, type(self), arguments)
            blobs = (*blobs, *more)
        make: Callable[..., NewRun] = NewRun
        if self._sealing is not None:
            from jobs.sealing.sealed_run import sealed_run

            make = partial(sealed_run, app, self._sealing)
        return make(
            id=new_run_id(),
            kind=declared.kind,
            arguments=arguments,
            arguments_version=declared.version,
            max_attempts=declared.retry.max_attempts,
            correlation_id=correlation_id.get(),
            enqueued_by=enqueuer(),
            parent_id=parent.id if parent else None,
            root_id=parent.root_id if parent else None,
            blobs=blobs,
            **values,
        )

    @classmethod
    def _differs_by_arguments_only(cls) -> bool:
        """Whether two runs of the class, enqueued by one call, differ in their ids and arguments only."""
        has_own_run = cls.new_run is not Job.new_run or cls._sealing is not None or bool(cls._stored_fields)
        return not has_own_run and cls.idempotency_key is Job.idempotency_key

    def new_run_like(self, like: NewRun, app: App) -> NewRun:
        """For enqueueing: ``new_run``, made in a tenth of the time, if only arguments differ; see ``rows_of``.

        ``like`` is the row of another job of this class, made by the same call.
        """
        arguments = arguments_of(self, kind=like.kind, max_bytes=app.settings.max_argument_bytes)
        return similar_run(like, new_run_id(), arguments)

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        # Shows no arguments: a repr appears in logs and tracebacks.
        return []


_ENQUEUE_OPTIONS = frozenset(EnqueueOptions.__annotations__)
