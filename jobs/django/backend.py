"""LedgerBackend: Django's tasks as runs of the ledger.

The row goes over Django's own connection: inside ``atomic()`` the task exists when, and only when, the block commits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core import checks
from django.db import transaction
from django.db.utils import DatabaseError

from jobs.app import App
from jobs.clock import new_run_id
from jobs.database.postgres.driver import UNDEFINED_FUNCTION, sqlstate
from jobs.definition import registry
from jobs.definition.enqueue_options import queue_name
from jobs.django import backend_checks, ledger, task_results
from jobs.django.framework import BaseTaskBackend, InvalidTask, TaskResultDoesNotExist, signals
from jobs.django.options import ATTRIBUTE
from jobs.django.task_job import TaskJob, class_of, job_class, write_call
from jobs.enqueue.enqueuer import enqueuer
from jobs.enqueue.room import AT_ONCE, make_room, may_be_limited
from jobs.enqueue.write_path import announce_runs, carrier, is_plain, write_runs
from jobs.errors import DefinitionError, EnqueueRefused, JobsError, LedgerMissing, SchemaMismatch
from jobs.events import RunEnqueued
from jobs.ledger.admission.insert_dated import forget_function, has_function, insert_dated
from jobs.ledger.admission.key_waits import limit_wait, set_wait
from jobs.ledger.queries import find as finding
from jobs.ledger.records import NewRun
from jobs.runtime.context import correlation_id, current_run


class LedgerBackend(BaseTaskBackend):
    """The backend of ``TASKS`` that records tasks in the ledger; ``manage.py jobs worker`` performs them."""

    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True

    alias: str
    options: Mapping[str, Any]

    def __init__(self, alias: str, params: dict[str, Any]) -> None:
        super().__init__(alias, params)
        self._valid: dict[tuple[Any, ...], type[TaskJob]] = {}
        """The job class of each task that was found valid, by all that this depends on."""

    def validate_task(self, task: Any) -> None:
        """Refuse a task that the ledger cannot hold, and make it known to workers.

        Raises:
            InvalidTask: Django's own error; the message says why.
        """
        super().validate_task(task)
        try:
            self._class_of(task)
        except (DefinitionError, EnqueueRefused) as error:
            raise InvalidTask(str(error)) from error

    def enqueue(self, task: Any, args: Any, kwargs: Any) -> Any:
        """Record the task in the transaction of Django's connection.

        Raises:
            InvalidTask: the backend refuses the task.
            TypeError: Django's own error, for arguments that are not JSON.
            ArgumentsRefused: JSON that the ledger cannot hold; nothing was enqueued.
            KeyConflict: a run with other arguments holds the task's unique key; the block stays usable.
            EnqueueRefused: the ledger is in another database.
        QueueFull: as many runs of the queue wait as may; nothing was enqueued, and the block stays usable.
        """
        cls = self._valid_class_of(task)
        here = ledger.current()
        # The result also normalises the arguments, and refuses those that are not JSON.
        result = task_results.fresh(task, str(run_id := new_run_id()), args, kwargs, backend=self.alias)
        (run,) = carrier(here.app)([_new_run(here.app, run_id, cls, task, result)])
        with _explained(here):
            if may_be_limited(here.app):
                # In Django's own connection: inside atomic(), a wait would hold what the block has locked.
                make_room(here.app, [run], AT_ONCE, here.database.read)
            if is_plain(run):
                enqueued_at = _insert(here, run)
                task_results.set_enqueued(result, enqueued_at)
            else:
                result, run = self._admit(here, run)
        signals.task_enqueued.send_robust(sender=type(self), task_result=result)
        _publish(here, [run])
        if here.is_under_test:
            # The test may have had it performed at once.
            result.refresh()
        return result

    def get_result(self, result_id: Any) -> Any:
        """The task's result as it is now, also inside the block that enqueued it.

        Raises:
            TaskResultDoesNotExist: no task has this id.
        """
        try:
            run_id = UUID(str(result_id))
        except ValueError:
            raise TaskResultDoesNotExist(result_id) from None
        return self._result(ledger.current(), run_id)

    def check(self, **kwargs: Any) -> Iterable[checks.CheckMessage]:
        """The system checks of this backend; they open no connection."""
        return backend_checks.check_backend(self)

    def _valid_class_of(self, task: Any) -> type[TaskJob]:
        marks = task.func, task.takes_context, task.queue_name, task.priority, id(getattr(task.func, ATTRIBUTE, None))
        known = self._valid.get(marks) if task.run_after is None else None
        is_current = known is not None and registry.find(known.options.kind) is known
        if known is not None and is_current:
            return known
        self.validate_task(task)
        made = self._valid[marks] = self._class_of(task)
        return made

    def _class_of(self, task: Any) -> type[TaskJob]:
        queue_name(task.queue_name)
        return job_class(task, self.options)

    def _admit(self, here: ledger.DjangoLedger, run: NewRun) -> tuple[Any, NewRun]:
        """Enqueue a run with a key: in a SAVEPOINT, so that a conflict leaves the caller's block usable."""
        with here.database.write() as connection:
            before = limit_wait(connection, here.app.settings.lock_timeout.total_seconds())
            (admitted,) = write_runs(connection, [run])
            set_wait(connection, before)
            here.database.send_notify(connection)
        return self._result(here, admitted.run.id), admitted.run

    def _result(self, here: ledger.DjangoLedger, run_id: UUID) -> Any:
        with _explained(here), here.database.read() as connection:
            run = finding.find_run(connection, run_id)
            attempts = finding.list_attempts(connection, run_id) if run is not None and run.attempt else []
        cls: type[TaskJob] | None = class_of(run.kind) if run is not None else None
        if run is None or cls is None or run.deleted_at is not None:
            raise TaskResultDoesNotExist(str(run_id))
        return task_results.result_of(cls._task, run, attempts, backend=self.alias)


def _new_run(app: App, run_id: UUID, cls: type[TaskJob], task: Any, result: Any) -> NewRun:
    at = task_results.as_moment(task.run_after) if task.run_after is not None else None
    if cls._given or cls.options.unique is not None or at is not None:
        more = {name: value for name, value in cls._given.items() if name != "key"}
        job = cls(args=result.args, kwargs=result.kwargs)
        run = job.new_run(app, queue=task.queue_name, priority=-task.priority, at=at, **more)
        run.id = run_id
        return run
    parent = current_run.get()
    kind = cls.options.kind
    return NewRun(
        id=run_id,
        kind=kind,
        queue=task.queue_name,
        priority=-task.priority,
        arguments=write_call(kind, result.args, result.kwargs, max_bytes=app.settings.max_argument_bytes),
        max_attempts=cls.options.retry.max_attempts,
        correlation_id=correlation_id.get(),
        enqueued_by=enqueuer(),
        parent_id=parent.id if parent else None,
        root_id=parent.root_id if parent else None,
    )


def _insert(here: ledger.DjangoLedger, run: NewRun) -> datetime:
    """Insert a plain run in whatever transaction Django's connection has; returns when it was enqueued."""
    by_function = has_function(here.database)
    now = here.app.clock.now() if here.database.dialect == "sqlite" else None
    with here.database.direct() as connection:
        return insert_dated(connection, run, notify=here.database.sends_notify, now=now, by_function=by_function)


def _publish(here: ledger.DjangoLedger, runs: list[NewRun]) -> None:
    """Publish to the ready index once the block has committed; a rolled back one publishes nothing."""
    app = here.app
    if app.ready is None and not app.events.has_subscriber(RunEnqueued):
        return
    if not here.database.commits:
        announce_runs(app, runs)
        return
    try:
        transaction.on_commit(lambda: announce_runs(app, runs), using=here.alias, robust=True)
    except transaction.TransactionManagementError:
        # With AUTOCOMMIT off Django does not know when its connection commits. The sweep finds the run.
        return


@contextmanager
def _explained(here: ledger.DjangoLedger) -> Iterator[None]:
    """Say what to do when Django's database has no ledger, or an earlier one.

    Raises:
        LedgerMissing: it has none.
        SchemaMismatch: it was migrated down while this process uses it.
    """
    try:
        yield
    except (LedgerMissing, DatabaseError) as error:
        cause = error.__cause__
        is_ours = isinstance(cause, Exception) and here.database.errors.lacks_our_tables(cause)
        if isinstance(error, DatabaseError) and not is_ours:
            raise
        raise _missing(here, cause) from error


def _missing(here: ledger.DjangoLedger, cause: BaseException | None) -> JobsError:
    migrate = f"manage.py migrate --database {here.alias}."
    if isinstance(cause, Exception) and sqlstate(cause) == UNDEFINED_FUNCTION:
        forget_function(here.database)
        return SchemaMismatch(
            f"The ledger in Django's database {here.alias!r} was migrated down while this process used it.",
            hint=f"Enqueue again. Better migrate it up: {migrate}",
        )
    return LedgerMissing(f"Django's database {here.alias!r} has no tables of the ledger.", hint=f"Make them: {migrate}")
