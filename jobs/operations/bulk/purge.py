"""Purge: hides ended runs; restore shows them again; erase blanks their personal data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from jobs.database.sql import Executor
from jobs.ledger.operators import idempotency
from jobs.ledger.operators.audit import AuditEntry
from jobs.ledger.operators.versions import Version
from jobs.ledger.run_records import RunRecord
from jobs.ledger.runs import purge as purging
from jobs.operations.audit.operator import Permission
from jobs.operations.bulk.batches import BatchResult
from jobs.states import FINAL, LIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeAction:
    """Hide ended runs until the pruner deletes them; with ``erase``, blank their data permanently."""

    erase: bool = False

    states = tuple(sorted(state.value for state in FINAL))
    purged = False

    @property
    def permission(self) -> Permission:
        return Permission.RUNS_ERASE if self.erase else Permission.RUNS_PURGE

    @property
    def verb(self) -> str:
        return "erase" if self.erase else "purge"

    def options(self) -> dict[str, Any]:
        return {}

    def refusals(self, session: Executor, before: dict[UUID, Version]) -> dict[UUID, str]:
        return {
            run_id: f"it is {one['state']}" if one["state"] in LIVE else "it is purged already"
            for run_id, one in before.items()
            if one["state"] in LIVE or (one["deleted_at"] is not None and not self.erase)
        }

    def changes_to(self, run: RunRecord) -> list[tuple[str, object, object]]:
        hidden: list[tuple[str, object, object]] = [("in lists", "yes", "no, until it is restored or pruned")]
        if not self.erase:
            return hidden
        return [*hidden, ("arguments, result, errors, steps, tags", "kept", "blanked, for good")]

    def apply(self, session: Executor, before: dict[UUID, Version]) -> BatchResult:
        step = BatchResult()
        refused = self.refusals(session, before)
        gone = (purging.erase if self.erase else purging.hide)(session, sorted(before))
        if self.erase:
            idempotency.blank(session)
        for run_id in before:
            if run_id in gone:
                step.notes.append(AuditEntry(run_id))
            else:
                step.notes.append(AuditEntry(run_id, skipped=refused.get(run_id, "it has moved meanwhile")))
        return step


@dataclass(frozen=True, slots=True)
class RestoreAction:
    """Show purged runs again."""

    verb = "restore"
    permission = Permission.RUNS_PURGE
    states = ()
    purged = True

    def options(self) -> dict[str, Any]:
        return {}

    def refusals(self, session: Executor, before: dict[UUID, Version]) -> dict[UUID, str]:
        return {run_id: "it is not purged" for run_id, one in before.items() if one["deleted_at"] is None}

    def changes_to(self, run: RunRecord) -> list[tuple[str, object, object]]:
        return [("in lists", "no", "yes")]

    def apply(self, session: Executor, before: dict[UUID, Version]) -> BatchResult:
        step = BatchResult()
        back = purging.unhide(session, sorted(before))
        for run_id in before:
            step.notes.append(AuditEntry(run_id) if run_id in back else AuditEntry(run_id, skipped="it is not purged"))
        return step
