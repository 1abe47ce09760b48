"""Lists live workers, and asks one to stop or to be replaced."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from jobs.app import App
from jobs.errors import Ambiguous, Conflict, NotFound
from jobs.ledger import workers
from jobs.ledger.workers import WorkerRecord
from jobs.operations.audit.entry import check_reason, record_finished
from jobs.operations.audit.operator import Operator, Permission


def list_workers(app: App, operator: Operator, *, within: timedelta = workers.LIVE_FOR) -> list[WorkerRecord]:
    """Worker processes seen within the span, latest first."""
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        return workers.live(connection, within=within)


def find_worker(app: App, operator: Operator, name: str) -> WorkerRecord:
    """The live worker of this name, or the only one whose name begins so.

    Raises:
        NotFound: there is none.
        Ambiguous: there are several.
    """
    live = list_workers(app, operator)
    found = [one for one in live if one.name == name] or [one for one in live if one.name.startswith(name)]
    if not found:
        raise NotFound(f"No live worker is called {name!r}.", hint="jobledger workers list shows them.")
    if len(found) > 1:
        names = tuple(one.name for one in found)
        raise Ambiguous(f"{name} means more than one worker: {', '.join(names)}.", matches=names)
    return found[0]


def supervised_by(app: App, operator: Operator, name: str | None) -> dict[str, list[WorkerRecord]]:
    """Live worker processes by their supervisor, ``host/pid``: all of them, or those of supervisors with this prefix.

    Raises:
        NotFound: there is no such process.
        Ambiguous: the prefix fits several supervisors.
    """
    live = list_workers(app, operator)
    found: dict[str, list[WorkerRecord]] = {}
    for one in live:
        if name is None or one.name.startswith(name):
            found.setdefault(one.supervisor, []).append(one)
    if not found:
        what = "No worker is live." if name is None else f"No live worker is called {name!r}."
        raise NotFound(what, hint="jobledger workers list shows them.")
    if name is not None and len(found) > 1:
        raise Ambiguous(f"{name} means more than one worker: {', '.join(sorted(found))}.", matches=tuple(sorted(found)))
    return {host: [one for one in live if one.supervisor == host] for host in sorted(found)}


def roll_workers(app: App, operator: Operator, supervisors: Sequence[str], *, reason: str | None = None) -> int:
    """Ask supervisors (``host/pid``) to replace their processes one by one; returns the number of processes asked.

    Raises:
        Conflict: their processes have stopped meanwhile.
    """
    operator.need(Permission.WORKERS_WRITE)
    check_reason(app, reason)
    names = [one.name for one in list_workers(app, operator) if one.supervisor in supervisors]
    with app.database.write(urgent=True) as connection:
        told = workers.request_roll(connection, names)
        if not told:
            raise Conflict("Those worker processes have stopped already.")
        target = f"worker:{supervisors[0]}" if len(supervisors) == 1 else f"{len(supervisors)} workers"
        record_finished(connection, "roll", operator, target=target, reason=reason, count=len(told))
    return len(told)


def stop_worker(app: App, operator: Operator, name: str, *, reason: str | None = None) -> WorkerRecord:
    """Ask a worker process to finish its runs and end; its supervisor starts another in its place.

    Raises:
        NotFound: no live worker has the name.
        Ambiguous: several have it.
        Conflict: it has stopped meanwhile.
    """
    operator.need(Permission.WORKERS_WRITE)
    check_reason(app, reason)
    # An operator who may stop one may find it.
    worker = find_worker(app, Operator(operator.name), name)
    with app.database.write(urgent=True) as connection:
        if not workers.request_stop(connection, [worker.name]):
            raise Conflict(f"Worker {worker.name} has stopped already.")
        record_finished(connection, "stop", operator, target=f"worker:{worker.name}", reason=reason)
    return worker
