"""Cancel: live runs, at once if they wait; if they run, their workers interrupt them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from jobs.database.sql import Executor
from jobs.enqueue.publish import entries_of
from jobs.ledger.operators.audit import AuditEntry
from jobs.ledger.operators.versions import Version
from jobs.ledger.run_records import RunRecord
from jobs.ledger.runs import cancel as cancelling
from jobs.operations.audit.operator import Permission
from jobs.operations.bulk.batches import BatchResult
from jobs.states import LIVE, RunState


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelAction:
    """Cancel runs. Does not touch the lease of a running one: its worker learns of the request and ends it."""

    reason: str | None = None

    verb = "cancel"
    permission = Permission.RUNS_CANCEL
    states = tuple(sorted(state.value for state in LIVE))
    purged = False

    def options(self) -> dict[str, Any]:
        return {}

    def refusals(self, session: Executor, before: dict[UUID, Version]) -> dict[UUID, str]:
        return {
            run_id: f"it is {one['state']}" if one["state"] not in LIVE else "it is being cancelled already"
            for run_id, one in before.items()
            if one["state"] not in LIVE or one["cancel_requested_at"] is not None
        }

    def changes_to(self, run: RunRecord) -> list[tuple[str, object, object]]:
        after = "running, asked to stop" if run.state is RunState.RUNNING else RunState.CANCELLED.value
        return [("state", run.state.value, after)]

    def apply(self, session: Executor, before: dict[UUID, Version]) -> BatchResult:
        step = BatchResult()
        refused = self.refusals(session, before)
        states, freed = cancelling.cancel_runs(
            session, [one for one in before if one not in refused], reason=self.reason
        )
        step.ready += entries_of(freed)
        for run_id, version in before.items():
            if run_id not in states:
                step.notes.append(AuditEntry(run_id, skipped=refused.get(run_id, "it has moved meanwhile")))
                continue
            step.notes.append(AuditEntry(run_id))
            if states[run_id] is RunState.CANCELLED:
                step.forgotten.append((run_id, version["queue"]))
        return step
