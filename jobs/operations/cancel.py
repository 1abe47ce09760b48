"""Cancel: live runs, at once if they wait; if they run, their jobs are interrupted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from jobs.ledger import cancel as cancelling
from jobs.ledger.audit import Note
from jobs.ledger.versions import Version
from jobs.operations.batches import Step
from jobs.operations.operator import Permission
from jobs.sql import Executor
from jobs.states import LIVE, RunState


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Cancel runs. The lease of a running one is not touched: its worker hears, and ends it."""

    reason: str | None = None

    verb = "cancel"
    permission = Permission.RUNS_CANCEL
    states = tuple(sorted(state.value for state in LIVE))
    purged = False

    def options(self) -> dict[str, Any]:
        return {}

    def apply(self, session: Executor, before: dict[UUID, Version]) -> Step:
        step = Step()
        asked = [
            run_id for run_id, one in before.items() if one["cancel_requested_at"] is None or one["state"] not in LIVE
        ]
        states = cancelling.cancel_runs(session, asked, reason=self.reason)
        for run_id, version in before.items():
            if run_id in states:
                step.notes.append(Note(run_id))
                if states[run_id] is RunState.CANCELLED:
                    step.forgotten.append((run_id, version["queue"]))
                continue
            is_asked = version["state"] in LIVE and version["cancel_requested_at"] is not None
            why = "it is being cancelled already" if is_asked else f"it is {version['state']}"
            step.notes.append(Note(run_id, skipped=why))
        return step
