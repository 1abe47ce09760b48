"""Import: moves the tasks that Celery left in Redis into the ledger, for applications that change to jobledger.

A task becomes a run of the job that has the task's name as its kind or alias. It is set aside in Redis, recorded under
an id derived from the task's, and only then deleted, so that an import that was killed may be started again.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from jobs.app import App
from jobs.definition import registry
from jobs.enqueue.write_path import announce_runs
from jobs.errors import JobsError
from jobs.ledger.admission.imported import insert_imported
from jobs.ledger.records import NewRun
from jobs.operations.audit.entry import record_entry
from jobs.operations.audit.operator import Operator, Permission
from jobs.ready.celery_queues import CeleryQueues

BATCH = 500
"""Tasks recorded in one transaction. Source: decision."""
_FOLLOWING = ("callbacks", "errbacks", "chain", "chord")
FETCHED = "(fetched)"


class NotTaken(Exception):
    """A task that cannot become a run, and why."""


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
            self._record(name, [self._run(name, task) for task in self._old.look(name)])
            return
        batch = self._old.resume(name)
        while batch or (batch := self._old.take(name, BATCH)):
            runs = [self._run(name, task) for _, task in batch]
            self._record(name, runs)
            self._old.drop([one for one, run in zip(batch, runs, strict=True) if run is not None])
            batch = []
        self._old.give_back(name)

    def fetched(self) -> None:
        tasks = self._old.unacked()
        runs = {tag: self._run(FETCHED, task) for tag, task in tasks.items()}
        self._record(FETCHED, list(runs.values()))
        if not self._dry_run:
            self._old.drop_unacked([tag for tag, run in runs.items() if run is not None])

    def _record(self, queue: str, found: Sequence[NewRun | None]) -> None:
        runs = [run for run in found if run is not None]
        made = {run.id for run in runs}
        if runs and not self._dry_run:
            with self._app.database.write() as connection:
                made = insert_imported(connection, runs)
                self._app.database.send_notify(connection)
            announce_runs(self._app, [run for run in runs if run.id in made])
        self.done.tasks[queue] += len(made)
        self.done.known_already += len(runs) - len(made)

    def _run(self, queue: str, task: bytes) -> NewRun | None:
        name = "?"
        try:
            headers, args, kwargs = read_task(task)
            name = str(headers["task"])
            return self._new_run(headers, args, kwargs)
        except (NotTaken, JobsError) as error:
            self.done.refused.append({"queue": queue, "task": name, "why": " ".join(str(error).split())})
            return None

    def _new_run(self, headers: Mapping[str, Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> NewRun:
        cls = registry.get(self._kinds.get(headers["task"], headers["task"]))
        names = list(getattr(cls, "_parameters", lambda: cls)().model_fields)
        if len(args) > len(names):
            raise NotTaken(f"It has {len(args)} positional arguments, and the job {len(names)} fields.")
        arguments = {**dict(zip(names, args, strict=False)), **kwargs}
        run: NewRun = cls(**arguments).new_run(
            self._app, at=_moment(headers, "eta"), expires=_moment(headers, "expires")
        )
        return replace(run, id=_id_of(str(headers.get("id"))), enqueued_by="celery")


def read_task(task: bytes) -> tuple[dict[str, Any], list[Any], dict[str, Any]]:
    """Headers, positional and named arguments of a message of Celery's protocol 2 whose content is JSON.

    Nothing else is decoded: a pickle runs code when it is read.

    Raises:
        NotTaken: it is none, or carries what follows it (a chain, callbacks).
    """
    try:
        message = json.loads(task)
        headers, kind = message["headers"], message["content-type"]
        if kind != "application/json":
            raise NotTaken(f"Its content is {kind}; only JSON is read.")
        body = message["body"]
        if message.get("properties", {}).get("body_encoding") == "base64":
            body = base64.b64decode(body, validate=True)
        args, kwargs, embed = json.loads(body)
        if not (isinstance(args, list) and isinstance(kwargs, dict) and isinstance(headers["task"], str)):
            raise TypeError("not a task")
        following = [name for name in _FOLLOWING if embed.get(name)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error) as error:
        raise NotTaken("It is no task of Celery's message protocol 2.") from error
    if following:
        raise NotTaken(f"It has {', '.join(following)}: enqueue it in the application, with its follow-ups.")
    return headers, args, kwargs


def _moment(headers: Mapping[str, Any], name: str) -> datetime | None:
    said = headers.get(name)
    if said is None:
        return None
    try:
        moment = datetime.fromisoformat(said)
    except (ValueError, TypeError):
        raise NotTaken(f"Its {name} is no moment.") from None
    # Celery writes a moment without a zone in UTC.
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _id_of(task_id: str) -> UUID:
    """The same for the same task; with the form of a version 8 UUID."""
    digest = int.from_bytes(hashlib.blake2b(f"celery\0{task_id}".encode(errors="replace"), digest_size=16).digest())
    return UUID(int=digest & ~(0xF << 76) & ~(0x3 << 62) | (8 << 76) | (2 << 62))
