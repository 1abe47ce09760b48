"""Import: moves the tasks that Celery left in Redis into the ledger, for applications that change to jobledger.

A task becomes a run of the job that has the task's name as its kind or alias. It is set aside in Redis, recorded under
an id derived from the task's, and only then deleted, so that an import that was killed may be started again.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from jobs.app import App
from jobs.definition import registry
from jobs.enqueue.write_path import announce_runs
from jobs.errors import JobsError
from jobs.ledger.admission.imported import insert_imported, recorded_ids
from jobs.ledger.records import NewRun
from jobs.operations.audit.entry import record_entry
from jobs.operations.audit.operator import Operator, Permission
from jobs.ready.celery_message import CeleryTask, NotTaken, name_of, read_task
from jobs.ready.celery_queues import CeleryQueues

BATCH = 500
"""Tasks recorded in one transaction. Source: decision."""
FETCHED = "(fetched)"
MAX_CORRELATION = 100


@dataclass(slots=True)
class ImportedTasks:
    """Numbers of tasks moved, by queue; ``refused`` ones stay in Redis, with the reason."""

    tasks: Counter[str] = field(default_factory=Counter)
    known_already: int = 0
    fetched: int = 0
    refused: list[dict[str, str]] = field(default_factory=list)

    @property
    def total(self) -> int:
        return sum(self.tasks.values())


def import_tasks(
    app: App,
    old: CeleryQueues,
    operator: Operator,
    *,
    kinds: Mapping[str, str] | None = None,
    with_fetched: bool = False,
    dry_run: bool = False,
) -> ImportedTasks:
    """Move every task of ``old`` that has a job into the ledger.

    Args:
        kinds: the job's kind for names of tasks that are no kind or alias.
        with_fetched: also those that workers had fetched, with an ETA or not. Only once every Celery worker has ended.
        dry_run: read and check each task, and move nothing.

    Raises:
        Forbidden: the operator may not enqueue.
        ServiceDown: Redis or the ledger does not answer; recorded tasks stay, and the next import continues.
    """
    operator.need(Permission.RUNS_ENQUEUE)
    move = _Move(app, old, kinds or {}, dry_run)
    for name in old.names():
        move.queue(name)
    if with_fetched:
        move.fetched()
    move.done.fetched = old.fetched()
    if move.done.total and not dry_run:
        with app.database.write() as connection:
            record_entry(
                connection, "import", operator, what="broker", target=f"{old.shown} celery", count=move.done.total
            )
    return move.done


class _Move:
    def __init__(self, app: App, old: CeleryQueues, kinds: Mapping[str, str], dry_run: bool) -> None:
        self.done = ImportedTasks()
        self._app, self._old, self._kinds, self._dry_run = app, old, kinds, dry_run

    def queue(self, name: str) -> None:
        if self._dry_run:
            for tasks in self._old.look(name, BATCH):
                self._record(name, tasks)
            return
        batch = self._old.resume(name)
        while batch or (batch := self._old.take(name, BATCH)):
            are_kept = self._record(name, [task for _, task in batch])
            self._old.drop([one for one, is_kept in zip(batch, are_kept, strict=True) if is_kept])
            batch = []
        self._old.give_back(name)

    def fetched(self) -> None:
        for tasks in self._old.unacked(BATCH):
            are_kept = self._record(FETCHED, list(tasks.values()))
            if not self._dry_run:
                self._old.drop_unacked([tag for tag, is_kept in zip(tasks, are_kept, strict=True) if is_kept])

    def _record(self, queue: str, tasks: Sequence[bytes]) -> list[bool]:
        """Record tasks. Returns for each whether the ledger has it now, so that it can be deleted in Redis."""
        found = [self._run(queue, task) for task in tasks]
        runs = [run for run in found if run is not None]
        made = known = {run.id for run in runs}
        if runs and not self._dry_run:
            with self._app.database.write() as connection:
                made = insert_imported(connection, runs)
                known = made | recorded_ids(connection, [run.id for run in runs if run.id not in made])
                self._app.database.send_notify(connection)
            announce_runs(self._app, [run for run in runs if run.id in made])
        self.done.tasks[queue] += len(made)
        self.done.known_already += sum(run.id in known for run in runs) - len(made)
        for task, run in zip(tasks, found, strict=True):
            if run is not None and run.id not in known:
                self._refuse(
                    queue, task, f"A live run of {run.kind} has its key {run.key!r}. Import it after that run."
                )
        return [run is not None and run.id in known for run in found]

    def _run(self, queue: str, task: bytes) -> NewRun | None:
        try:
            return self._new_run(read_task(task))
        except (NotTaken, JobsError) as error:
            self._refuse(queue, task, str(error))
            return None

    def _refuse(self, queue: str, task: bytes, why: str) -> None:
        self.done.refused.append({"queue": queue, "task": name_of(task), "why": " ".join(why.split())})

    def _new_run(self, task: CeleryTask) -> NewRun:
        cls = registry.get(self._kinds.get(task.name, task.name))
        names = list(getattr(cls, "_parameters", lambda: cls)().model_fields)
        if len(task.args) > len(names):
            raise NotTaken(f"It has {len(task.args)} positional arguments, and the job {len(names)} fields.")
        arguments = dict(zip(names, task.args, strict=False))
        if twice := sorted(arguments.keys() & task.kwargs.keys()):
            raise NotTaken(f"It gives {', '.join(twice)} by position and by name.")
        options: dict[str, Any] = {} if task.priority is None else {"priority": task.priority}
        run: NewRun = cls(**arguments, **task.kwargs).new_run(self._app, at=task.eta, expires=task.expires, **options)
        # The id that the application's own logs and tables know.
        known_as = task.id if len(task.id) <= MAX_CORRELATION and task.id.isprintable() else None
        return replace(run, id=_id_of(task.id), enqueued_by="celery", correlation_id=known_as)


def _id_of(task_id: str) -> UUID:
    """The same for the same task; with the form of a version 8 UUID."""
    digest = int.from_bytes(hashlib.blake2b(f"celery\0{task_id}".encode(errors="replace"), digest_size=16).digest())
    return UUID(int=digest & ~(0xF << 76) & ~(0x3 << 62) | (8 << 76) | (2 << 62))
