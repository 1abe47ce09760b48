"""Job: the base class of what an application wants done. Typed fields are its arguments; ``perform`` does it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, dataclass_transform

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic._internal._model_construction import ModelMetaclass
from pydantic.fields import Field, PrivateAttr

from jobs import boot, registry
from jobs.app import App
from jobs.arguments import write_arguments
from jobs.clock import new_run_id
from jobs.context import correlation_id, current_run
from jobs.enqueue import Enqueued, enqueue_runs, enqueuer
from jobs.errors import ArgumentsRefused, DefinitionError, EnqueueRefused
from jobs.ledger.records import NewRun
from jobs.models import MAX_PRIORITY, MIN_PRIORITY
from jobs.options import MAX_QUEUE, Options, check_name, derive
from jobs.run import Run
from jobs.tags import write_tags

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(Field, PrivateAttr))
class _JobMeta(ModelMetaclass):
    """Takes a class's keywords as job options. Pydantic would take its own from among them (``frozen=False``)."""

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **keywords: Any) -> Any:
        cls: Any = super().__new__(mcs, name, bases, namespace)
        place = registry.place_of(cls)
        parent: Options | None = next((vars(base).get("options") for base in bases if isinstance(base, _JobMeta)), None)
        if parent is None:
            return cls
        for field in cls.model_fields:
            if field in _RESERVED:
                raise DefinitionError(
                    f"Field {field!r} of job {place} has the name of something every job has.",
                    hint=f"Call it {field}_value, say.",
                )
        cls.options = derive(parent, keywords, name=name, place=place)
        if cls.perform is not Job.perform:
            registry.register(cls, kind=cls.options.kind, aliases=cls.options.aliases)
        return cls

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **keywords: Any) -> None:
        super().__init__(name, bases, namespace)


class Job(BaseModel, metaclass=_JobMeta):
    """Subclass it: fields are arguments, class keywords are options, ``perform`` is the work.

    >>> class SendInvoice(Job, queue="mail", timeout=timedelta(seconds=30)):
    ...     order_id: int
    ...
    ...     def perform(self) -> None:
    ...         send(self.order_id)
    >>> SendInvoice(order_id=7).enqueue()

    A job may be performed more than once (a worker may die after the work and before the record), so make it
    idempotent, or write through ``self.run.transaction()``.
    """

    # No protected namespaces: the metaclass itself refuses what has the name of a member, and says so in our words.
    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True, protected_namespaces=()
    )
    options: ClassVar[Options] = Options()
    __slots__ = ("_bound_run",)

    def __init__(self, /, **arguments: Any) -> None:
        try:
            super().__init__(**arguments)
        except ValidationError as error:
            raise _unfit(type(self), error) from None

    def perform(self) -> Any:
        """Do the work. May return a JSON value, kept as the run's result; may be ``async``."""
        raise NotImplementedError(f"{type(self).__name__} does not say how to perform.")

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
        """For workers and tests: give the job the run it performs."""
        object.__setattr__(self, "_bound_run", run)

    def enqueue(
        self,
        *,
        session: Session | None = None,
        queue: str | None = None,
        delay: timedelta | None = None,
        at: datetime | None = None,
        priority: int | None = None,
        expires: timedelta | datetime | None = None,
        tags: Sequence[str] = (),
    ) -> Enqueued:
        """Record a run of this job, to be performed by a worker.

        Args:
            session: enqueue in this session's transaction: the run exists when its owner commits.
            queue, priority: instead of the class's.
            delay, at: not before this long from now, or this aware moment.
            expires: dead as ``expired`` if it has not started by then.
            tags: words to find it by.

        Raises:
            ArgumentsRefused: arguments that cannot be stored.
            EnqueueRefused: an option that cannot be.
            ServiceDown: the ledger does not answer; nothing was enqueued.
        """
        app = boot.current()
        run = self._new_run(app, queue=queue, delay=delay, at=at, priority=priority, expires=expires, tags=tags)
        return enqueue_runs(app, [run], session=session)[0]

    def _new_run(
        self,
        app: App,
        *,
        queue: str | None = None,
        delay: timedelta | None = None,
        at: datetime | None = None,
        priority: int | None = None,
        expires: timedelta | datetime | None = None,
        tags: Sequence[str] = (),
    ) -> NewRun:
        options = self.options
        if self.perform.__func__ is Job.perform:  # type: ignore[attr-defined]
            raise EnqueueRefused(
                f"{type(self).__name__} does not say how to perform.", hint="Give it a perform method."
            )
        parent = current_run.get()
        return NewRun(
            id=new_run_id(),
            kind=options.kind,
            queue=options.queue if queue is None else _queue_name(queue),
            priority=options.priority if priority is None else _priority(priority),
            arguments=write_arguments(self, kind=options.kind, max_bytes=app.settings.max_argument_bytes),
            arguments_version=options.version,
            max_attempts=options.retry.max_attempts,
            **_when(delay, at),
            **_lapse(expires),
            tags=write_tags(tags) if tags else None,
            correlation_id=correlation_id.get(),
            enqueued_by=enqueuer(),
            parent_id=parent.id if parent else None,
            root_id=parent.root_id if parent else None,
        )

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        # No arguments: a repr ends up in logs and tracebacks.
        return []


_RESERVED = frozenset(dir(Job)) | {"run"}


def enqueue_many(
    many: Sequence[Job],
    *,
    session: Session | None = None,
    spread: timedelta | None = None,
    delay: timedelta | None = None,
    tags: Sequence[str] = (),
) -> list[Enqueued]:
    """Record a run of each job, all in one transaction; answers in their order.

    Args:
        spread: let them become due evenly over this span, instead of all at once.

    Raises:
        ArgumentsRefused: a job's arguments; nothing was enqueued.
        ServiceDown: the ledger does not answer; nothing was enqueued.
    """
    app = boot.current()
    first = delay or timedelta(0)
    step = (spread / len(many)) if spread and many else timedelta(0)
    runs = [job._new_run(app, delay=first + place * step, tags=tags) for place, job in enumerate(many)]
    return enqueue_runs(app, runs, session=session)


def is_async(cls: type[Job]) -> bool:
    """Whether a job performs as a coroutine."""
    import inspect

    return inspect.iscoroutinefunction(cls.perform)


def _unfit(cls: type[Job], error: ValidationError) -> ArgumentsRefused:
    mistakes = error.errors(include_url=False, include_input=False, include_context=False)
    said = "; ".join(f"{'.'.join(map(str, one['loc'])) or cls.__name__}: {one['msg']}" for one in mistakes[:5])
    field = ".".join(map(str, mistakes[0]["loc"])) or None
    return ArgumentsRefused(f"Arguments of {cls.options.kind} do not fit: {said}.", field=field)


def _queue_name(queue: str) -> str:
    try:
        return check_name(queue, what="queue", longest=MAX_QUEUE)
    except DefinitionError as error:
        raise EnqueueRefused(error.message, hint=error.hint) from None


def _priority(priority: int) -> int:
    if type(priority) is not int or not MIN_PRIORITY <= priority <= MAX_PRIORITY:
        raise EnqueueRefused(
            f"priority must be a whole number from {MIN_PRIORITY} to {MAX_PRIORITY}, got {priority!r}."
        )
    return priority


def _when(delay: timedelta | None, at: datetime | None) -> dict[str, Any]:
    if delay is not None and at is not None:
        raise EnqueueRefused("delay= and at= say the same thing twice.", hint="Give one of them.")
    if at is not None:
        return {"run_at": _moment(at, "at")}
    if delay is None:
        return {}
    if not isinstance(delay, timedelta) or delay < timedelta(0):
        raise EnqueueRefused(f"delay= takes a timedelta of zero or more, got {delay!r}.")
    return {"delay_seconds": delay.total_seconds()}


def _lapse(expires: timedelta | datetime | None) -> dict[str, Any]:
    if expires is None:
        return {}
    if isinstance(expires, timedelta):
        if expires <= timedelta(0):
            raise EnqueueRefused(f"expires= takes a timedelta above zero, got {expires!r}.")
        return {"expires_seconds": expires.total_seconds()}
    return {"expires_at": _moment(expires, "expires")}


def _moment(value: datetime, name: str) -> datetime:
    if not isinstance(value, datetime):
        raise EnqueueRefused(f"{name}= takes an aware datetime, got {value!r}.")
    if value.tzinfo is None or value.utcoffset() is None:
        raise EnqueueRefused(f"{name}= takes an aware datetime, and {value!r} has no time zone.", hint="Say which.")
    return value
