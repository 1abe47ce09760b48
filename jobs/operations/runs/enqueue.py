"""Enqueue by an operator: a run of a kind, with arguments that its job checks, and an audit entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jobs.app import App
from jobs.definition import registry
from jobs.enqueue.room import AT_ONCE, make_room, may_be_limited
from jobs.enqueue.unserved_warning import warn_if_unserved
from jobs.enqueue.write_path import Enqueued, announce_runs, carrier, write_runs
from jobs.operations.audit.entry import check_reason, record_entry
from jobs.operations.audit.operator import Operator, Permission


def enqueue_run(
    app: App,
    operator: Operator,
    kind: str,
    arguments: Mapping[str, Any],
    *,
    reason: str | None = None,
    **options: Any,
) -> Enqueued:
    """Record a run of ``kind``; ``options`` are those of ``Job.enqueue``. The same transaction writes its audit entry.

    Raises:
        NotFound: this process does not know the kind: its module is not imported.
        ArgumentsRefused: they do not fit the job.
        EnqueueRefused, KeyConflict, KeyBusy, QueueFull: as ``Job.enqueue``.
    """
    operator.need(Permission.RUNS_ENQUEUE)
    check_reason(app, reason)
    cls = registry.get(kind)
    # An internal method of the job: applications use ``enqueue``.
    run = replace(cls(**arguments).new_run(app, **options), enqueued_by=operator.name[:200])
    if may_be_limited(app):
        make_room(app, [run], AT_ONCE)
    with app.database.write(urgent=True) as connection:
        (admitted,) = write_runs(connection, carrier(app)([run]))
        app.database.send_notify(connection)
        record_entry(
            connection, "enqueue", operator, target=run.kind, what="kind", reason=reason,
            after={"run_id": str(admitted.run.id), "queue": run.queue}, count=int(admitted.created),
        )  # fmt: skip
    announce_runs(app, [admitted.run])
    warn_if_unserved(app, [run.queue])
    return Enqueued(admitted.run.id, admitted.created)
