"""Dead-process cleanup: ends the attempts of dead processes that the supervisor names, and adds to the ready index what
they took from it and did not claim.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from jobs.app import App
from jobs.enqueue.publish import announce, entries_after, entries_of
from jobs.errors import JobsError
from jobs.ledger import workers
from jobs.ledger.runs.sweep import end_dead_attempts, holds_runs
from jobs.upkeep.ended_events import ended_events
from jobs.upkeep.reconcile import add_lost
from worker.protocol.assignment import DeadProcess

log = logging.getLogger("jobs.worker")

LOOK_AGAIN_SECONDS = 1.0
"""How long after a cleanup to look once more: the server may execute a claim that a killed process has sent later, and
Redis may answer its last take later. Source: decision; a server that is not overloaded needs milliseconds."""


class DeadProcessCleanup:
    """The cleanups that the supervisor has assigned to this process: each is done at once, and again a little later."""

    def __init__(self, app: App, dead_processes: Iterable[DeadProcess] = ()) -> None:
        self._app = app
        self._left = list(dead_processes)
        self._again_at: dict[str, float] = {}

    def __bool__(self) -> bool:
        """Whether any is left."""
        return bool(self._left)

    def add(self, dead_process: DeadProcess) -> None:
        self._left.append(dead_process)

    def turn(self, *, is_last: bool = False) -> list[str]:
        """Do what is due now. Returns the names of the dead processes whose cleanup is complete.

        Args:
            is_last: there will be no other turn.
        """
        now = self._app.clock.monotonic()
        due = [one for one in self._left if is_last or now >= self._again_at.get(one.name, now)]
        complete = []
        for name in clean_up(self._app, due):
            if is_last or name in self._again_at:
                complete.append(name)
            else:
                self._again_at[name] = now + LOOK_AGAIN_SECONDS
        for name in complete:
            self._again_at.pop(name, None)
        self._left = [one for one in self._left if one.name not in complete]
        return complete


def clean_up(app: App, dead_processes: Sequence[DeadProcess]) -> list[str]:
    """End the attempts of dead processes. Returns the names of those to which the ledger assigns no run any more."""
    cleaned_up = []
    for dead_process in dead_processes:
        try:
            while _clean_up_some(app, dead_process):
                pass
            # A row stays locked until the server has noticed the end of the connection that settled its run.
            with app.database.read() as connection:
                if not holds_runs(connection, dead_process.name):
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
