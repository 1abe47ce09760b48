"""Dead-process cleanup: ends the attempts of dead processes that the supervisor names, and adds to the ready index what
they took from it and did not claim.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from jobs.app import App
from jobs.enqueue.publish import announce, entries_after, entries_of
from jobs.errors import JobsError
from jobs.ledger import workers
from jobs.ledger.runs.sweep import end_dead_attempts
from jobs.upkeep.ended_events import ended_events
from jobs.upkeep.reconcile import add_lost
from worker.protocol.assignment import DeadProcess

log = logging.getLogger("jobs.worker")


def clean_up(app: App, dead_processes: Sequence[DeadProcess]) -> list[str]:
    """End the attempts of dead processes. Returns the names of those whose cleanup is complete."""
    cleaned_up = []
    for dead_process in dead_processes:
        try:
            while _clean_up_some(app, dead_process):
                pass
            cleaned_up.append(dead_process.name)
        except JobsError as error:
            log.warning("Attempts of a dead process could not be ended", extra={"reason": str(error)})
    try:
        if cleaned_up:
            add_lost(app)
    except JobsError as error:
        log.warning("Runs that dead processes took could not be indexed again", extra={"reason": str(error)})
        return []
    return cleaned_up


def _clean_up_some(app: App, dead_process: DeadProcess) -> bool:
    with app.database.write(urgent=True) as connection:
        settled, freed = end_dead_attempts(
            connection,
            dead_process.name,
            performing=dead_process.performing,
            ended=dead_process.ended,
            why=dead_process.cause,
            blame=dead_process.blame,
            over=dead_process.over,
            poison_after=app.settings.poison_after,
        )
        workers.sign_off(connection, dead_process.name)
    announce(app, entries_after(settled) + entries_of(freed))
    app.events.emit(ended_events(settled))
    if settled or freed:
        log.warning(
            "Attempts of a dead process ended",
            extra={
                "worker": dead_process.name,
                "cause": dead_process.cause,
                "ended": len(settled),
                "released": len(freed),
            },
        )
    return bool(settled or freed)
