"""Faults of workflows that a person should know of: wrong counts of batches, and waits that are past their time."""

from __future__ import annotations

from datetime import timedelta

from jobs.app import App
from jobs.ledger.batches.find import broken_counts
from jobs.ledger.batches.recount import recounted_batches
from jobs.ledger.queries.late_waits import late_waits

LATE = timedelta(minutes=5)
"""How long after its time a wait may still be found. Source: decision; the sweep of overdue runs takes seconds."""
RECENT = timedelta(days=1)
MOST = 5


def workflow_faults(app: App) -> list[str]:
    """Sentences about batches and waiting runs that need a person. Empty: none."""
    with app.database.read() as connection:
        wrong = list(broken_counts(connection, limit=MOST))
        late = late_waits(connection, after=LATE, limit=MOST)
        recounted = recounted_batches(connection, within=RECENT, limit=MOST)
    said = [
        f"batch {str(batch_id)[-8:]} ({name}) counts {pending:,} pending members, but has {truth:,}"
        for batch_id, name, pending, truth in wrong
    ]
    said += [f"run {str(run_id)[-8:]} waited for {held_on}, and is past its time" for run_id, held_on in late]
    return said + [
        f"batch {str(batch_id)[-8:]} ({name}) was counted anew today: a worker of an older release ended its members"
        for batch_id, name in recounted
    ]
