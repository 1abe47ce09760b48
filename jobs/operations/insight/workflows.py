"""Faults of workflows that nothing mends: wrong counts of batches, and waits that are past their time."""

from __future__ import annotations

from datetime import timedelta

from jobs.app import App
from jobs.ledger.batches.find import broken_counts
from jobs.ledger.queries.late_waits import late_waits

LATE = timedelta(minutes=5)
"""How long after its time a wait may still be found. Source: decision; the sweep of overdue runs takes seconds."""
MOST = 5


def workflow_faults(app: App) -> list[str]:
    """Sentences about batches and waiting runs that need a person. Empty: none."""
    with app.database.read() as connection:
        wrong = list(broken_counts(connection, limit=MOST))
        late = late_waits(connection, after=LATE, limit=MOST)
    said = [
        f"batch {str(batch_id)[-8:]} ({name}) counts {pending:,} pending members, but has {truth:,}"
        for batch_id, name, pending, truth in wrong
    ]
    return said + [f"run {str(run_id)[-8:]} waited for {held_on}, and is past its time" for run_id, held_on in late]
