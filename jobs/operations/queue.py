"""One queue: what waits in it, who serves it, whether it is paused."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.app import App
from jobs.errors import NotFound
from jobs.ledger import queues, reports, workers
from jobs.operations.names import known_names
from jobs.operations.operator import Operator, Permission


@dataclass(frozen=True, slots=True)
class QueueView:
    """A queue now; ``count`` is None where it has no run that is not over."""

    count: reports.QueueCount | None
    pause: queues.Pause | None
    workers: list[str]
    kinds: list[str]


def look_at(app: App, operator: Operator, name: str) -> QueueView:
    """The queue of this name.

    Raises:
        NotFound: no run and no worker knows it.
    """
    operator.need(Permission.RUNS_READ)
    if name not in known_names(app, operator, "queue"):
        raise NotFound(f"No run and no worker knows the queue {name!r}.", hint="jobledger queues list shows them.")
    with app.database.read() as connection:
        count = next((one for one in reports.queue_counts(connection) if one.queue == name), None)
        pause = queues.pauses(connection).get(name)
        serving = [one for one in workers.live(connection) if name in one.queues]
    return QueueView(
        count, pause, [one.name for one in serving], sorted({kind for one in serving for kind in one.kinds})
    )
