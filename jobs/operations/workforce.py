"""Workers: who is live, and asking one to stop."""

from __future__ import annotations

from datetime import timedelta

from jobs.app import App
from jobs.clock import new_run_id
from jobs.errors import Ambiguous, Conflict, NotFound
from jobs.ledger import audit, workers
from jobs.ledger.workers import WorkerRecord
from jobs.operations.bulk import check_reason
from jobs.operations.operator import Operator, Permission


def list_workers(app: App, operator: Operator, *, within: timedelta = workers.LIVE_FOR) -> list[WorkerRecord]:
    """Worker processes seen within the span, latest first."""
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        return workers.live(connection, within=within)


def find_worker(app: App, operator: Operator, name: str) -> WorkerRecord:
    """The live worker of this name, or the only one whose name begins so.

    Raises:
        NotFound, Ambiguous: none, or several.
    """
    live = list_workers(app, operator)
    found = [one for one in live if one.name == name] or [one for one in live if one.name.startswith(name)]
    if not found:
        raise NotFound(f"No live worker is called {name!r}.", hint="jobledger workers list shows them.")
    if len(found) > 1:
        names = tuple(one.name for one in found)
        raise Ambiguous(f"{name} means more than one worker: {', '.join(names)}.", matches=names)
    return found[0]


def stop_worker(app: App, operator: Operator, name: str, *, reason: str | None = None) -> WorkerRecord:
    """Ask a worker process to finish what it has and end; its supervisor starts another in its place.

    Raises:
        NotFound, Ambiguous: no live worker has the name, or several.
        Conflict: it has stopped meanwhile.
    """
    operator.need(Permission.WORKERS_WRITE)
    check_reason(app, reason)
    worker = find_worker(app, operator, name)
    with app.database.write(urgent=True) as connection:
        if not workers.request_stop(connection, [worker.name]):
            raise Conflict(f"Worker {worker.name} has stopped already.")
        action_id = new_run_id()
        audit.begin(
            connection, action_id, verb="stop", actor=operator.name, target=f"worker:{worker.name}", reason=reason,
            expected=1,
        )  # fmt: skip
        audit.finish(connection, action_id, "finished", done=1)
    return worker
