"""Inspect: what is there, and what is wrong now. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from jobs.app import App
from jobs.errors import NotFound
from jobs.ledger.find import find_run, list_attempts, list_runs, resolve_id
from jobs.ledger.records import AttemptRecord, RunRecord
from jobs.ledger.reports import QueueCount, queue_counts
from jobs.ledger.workers import WorkerRecord, live
from jobs.states import RunState


@dataclass(frozen=True, slots=True)
class Page:
    """Runs, newest first, and where the next page begins."""

    runs: list[RunRecord]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Status:
    """What an operator must know first; ``problems`` are sentences, worst first."""

    queues: list[QueueCount]
    workers: list[WorkerRecord]
    problems: list[str]


def find_runs(
    app: App,
    *,
    kind: str | None = None,
    queue: str | None = None,
    states: Sequence[RunState] = (),
    cursor: str | None = None,
    limit: int = 50,
) -> Page:
    """A page of runs.

    Raises:
        NotFound: the cursor is not one that a page gave.
    """
    with app.database.read() as connection:
        runs = list_runs(connection, kind=kind, queue=queue, states=states, before=_cursor(cursor), limit=limit + 1)
    return Page(runs[:limit], str(runs[limit - 1].id) if len(runs) > limit else None)


def show_run(app: App, short_id: str) -> tuple[RunRecord, list[AttemptRecord]]:
    """The run that a whole or short id means, and its attempts.

    Raises:
        NotFound, Ambiguous: it means none, or several.
    """
    with app.database.read() as connection:
        run_id = resolve_id(connection, short_id)
        run = find_run(connection, run_id)
        if run is None:
            raise NotFound(f"There is no run {short_id}.")
        return run, list_attempts(connection, run_id)


def status(app: App) -> Status:
    """The queues, the live workers, and what is wrong."""
    with app.database.read() as connection:
        queues, workers = queue_counts(connection), live(connection)
    return Status(queues, workers, _problems(queues, workers))


def _problems(queues: list[QueueCount], workers: list[WorkerRecord]) -> list[str]:
    served = {queue for worker in workers for queue in worker.queues}
    problems = [
        f"queue {one.queue} has {one.ready:,} ready runs and no live worker"
        for one in queues
        if one.ready and one.queue not in served
    ]
    problems += [f"queue {one.queue} is paused with {one.ready:,} ready runs" for one in queues if one.is_paused]
    return problems + [f"queue {one.queue} has {one.dead:,} dead letters" for one in queues if one.dead]


def _cursor(text: str | None) -> UUID | None:
    if text is None:
        return None
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(f"{text!r} is not a cursor.", hint="Use the one that the page before ended with.") from None
