"""The rows of a schedule: its definition and the runs that it makes, with checked arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jobs.app import App
from jobs.definition import registry
from jobs.definition.arguments import write_arguments
from jobs.definition.options import MAX_QUEUE, check_name
from jobs.errors import EnqueueRefused
from jobs.scheduling.schedule import Schedule
from jobs.scheduling.serialize import write_data
from jobs.storage.finding import stored_in


def columns_of(job: Any, schedule: Schedule, name: str, *, max_bytes: int) -> dict[str, Any]:
    """The columns of a schedule that makes runs of ``job``.

    Raises:
        ArgumentsRefused: arguments that cannot be stored.
    """
    options = job.options
    refuse_sealed(job)
    refuse_stored(job)
    return {
        "name": name,
        "kind": options.kind,
        "queue": options.queue,
        "priority": options.priority,
        "arguments": write_arguments(job, kind=options.kind, max_bytes=max_bytes),
        "arguments_version": options.version,
        "max_attempts": options.retry.max_attempts,
        # With its name, which spreads its jitter.
        "definition": write_data(replace(schedule, name=name, job=None)),
    }


def new_columns(
    app: App,
    kind: str,
    arguments: Mapping[str, Any],
    schedule: Schedule,
    name: str,
    *,
    queue: str | None = None,
    priority: int | None = None,
) -> dict[str, Any]:
    """The columns of a schedule that an operator makes.

    Raises:
        NotFound: this process does not know the kind.
        ArgumentsRefused: they do not fit its job.
        DefinitionError: the queue's name is invalid.
    """
    job = registry.get(kind)(**arguments)
    columns = columns_of(job, schedule, name, max_bytes=app.settings.max_argument_bytes)
    return {**columns, **place_columns(queue, priority)}


def argument_columns(app: App, kind: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that change with a schedule's arguments; raises the same as ``new_columns``."""
    cls = registry.get(kind)
    refuse_sealed(cls)
    job = cls(**arguments)
    refuse_stored(job)
    text = write_arguments(job, kind=cls.options.kind, max_bytes=app.settings.max_argument_bytes)
    return {"arguments": text, "arguments_version": cls.options.version}


def refuse_sealed(job: Any) -> None:
    """Refuse a schedule of a job with sealed arguments: each run needs a seal of its own.

    Raises:
        EnqueueRefused: it has some.
    """
    if job._sealing is not None and job._sealing.fields:
        raise EnqueueRefused(
            f"{job.options.kind} has sealed arguments, which a schedule cannot hold.",
            hint="Schedule another job, whose perform enqueues this one.",
        )


def refuse_stored(job: Any) -> None:
    """Refuse a schedule of a job with stored values: each run needs a reference of its own.

    Raises:
        EnqueueRefused: it has some.
    """
    if any(True for name in job._stored_fields for _ in stored_in(getattr(job, name, None))):
        raise EnqueueRefused(
            f"An argument of {job.options.kind} is a stored value, which a schedule cannot hold.",
            hint="Schedule another job, whose perform enqueues this one.",
        )


def place_columns(queue: str | None, priority: int | None) -> dict[str, Any]:
    """The columns for the queue and priority of its runs; those that are given."""
    values: dict[str, Any] = {}
    if queue is not None:
        values["queue"] = check_name(queue, what="queue", longest=MAX_QUEUE)
    if priority is not None:
        values["priority"] = priority
    return values
