"""The rows of many jobs: those of one class may share all values besides their ids and arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobs.app import App
    from jobs.ledger.records import NewRun


def rows_of(many: Iterable[Any], make: Callable[[Any], NewRun], app: App) -> Iterator[NewRun]:
    """The rows of jobs that one call enqueues with the same options, made when they are read.

    Args:
        make: makes the row of a job, with all its values.
    """
    firsts: dict[type, NewRun] = {}
    for job in many:
        first = firsts.get(type(job))
        if first is not None:
            yield job.new_run_like(first, app)
            continue
        row = make(job)
        # What is no ``Job``, such as a message of an actor, does not say.
        if getattr(job, "_differs_by_arguments_only", bool)():
            firsts[type(job)] = row
        yield row
