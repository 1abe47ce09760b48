"""Dry run of a bulk action: how many runs it would skip and why, and what it would change.

Reads the runs in batches, as the action itself would, without locks; they may change before the action.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from jobs.app import App
from jobs.ledger.operators.versions import versions
from jobs.ledger.queries import find
from jobs.operations.audit.operator import Operator
from jobs.operations.bulk.action import ActionPlan
from jobs.operations.bulk.batches import BATCH, SHOWN, Act, pages


@dataclass(slots=True, kw_only=True)
class DryRun:
    """``changes`` are (what, from, to) of ``example``, the oldest run that would not be skipped."""

    skipped: int = 0
    some_skipped: list[tuple[UUID, str]] = field(default_factory=list)
    example: UUID | None = None
    changes: list[tuple[str, object, object]] = field(default_factory=list)


def dry_run_of(app: App, operator: Operator, act: Act, planned: ActionPlan) -> DryRun:
    """The effect that ``act`` would have on the runs of ``planned``."""
    operator.need(act.permission)
    found = DryRun()
    for run_ids in pages(app, planned.selector, BATCH):
        with app.database.read() as connection:
            before = versions(connection, run_ids)
            refused = act.refusals(connection, before)
            example = next((one for one in run_ids if one in before and one not in refused), None)
            if found.example is None and example is not None:
                run = find.find_runs(connection, [example])[example]
                found.example, found.changes = example, act.changes_to(run)
        found.skipped += len(refused)
        found.some_skipped += [(one, refused[one]) for one in run_ids if one in refused][
            : SHOWN - len(found.some_skipped)
        ]
    return found
