"""Waits until runs have ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

from jobs.app import App
from jobs.ledger.queries import find
from jobs.ledger.run_records import RunRecord
from jobs.operations.audit.operator import Operator, Permission
from jobs.states import FINAL

FIRST_SECONDS, LONGEST_SECONDS = 0.02, 1.0
"""Wait between two looks, doubled up to a second.

Source: decision; short jobs are noticed at once, long ones cost little.
"""


def wait_for(
    app: App, operator: Operator, run_ids: Sequence[UUID], *, moved: Callable[[RunRecord], None] = lambda run: None
) -> list[RunRecord]:
    """Return the runs once all of them have ended; calls ``moved`` on each change of state. Waits without limit."""
    operator.need(Permission.RUNS_READ)
    seen: dict[UUID, tuple[str, int]] = {}
    pause = FIRST_SECONDS
    while True:
        with app.database.read() as connection:
            found = find.find_runs(connection, run_ids)
        for run_id in run_ids:
            run = found.get(run_id)
            if run is not None and seen.get(run_id) != (run.state, run.attempt):
                seen[run_id] = (run.state, run.attempt)
                moved(run)
                pause = FIRST_SECONDS
        if all(run.state in FINAL for run in found.values()):
            return [found[run_id] for run_id in run_ids if run_id in found]
        app.clock.sleep(pause)
        pause = min(pause * 2, LONGEST_SECONDS)
