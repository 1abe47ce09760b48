"""Burial: ends what dead processes of the same supervisor held, as the supervisor tells it."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from jobs.announce import announce
from jobs.app import App
from jobs.ended import ended_events
from jobs.errors import JobsError
from jobs.ledger import workers
from jobs.ledger.sweep import end_orphans
from jobs.ready.protocol import ReadyEntry
from jobs.states import RunState
from worker.assignment import Orphan

log = logging.getLogger("jobs.worker")


def bury(app: App, orphans: Sequence[Orphan]) -> list[str]:
    """End the attempts of dead processes; the names of those whose end is committed."""
    buried = []
    for orphan in orphans:
        try:
            while _bury_some(app, orphan):
                pass
            buried.append(orphan.name)
        except JobsError as error:
            log.warning("Could not end what a dead process held.", extra={"reason": str(error)})
    return buried


def _bury_some(app: App, orphan: Orphan) -> bool:
    with app.database.write(urgent=True) as connection:
        settled, freed = end_orphans(
            connection,
            orphan.name,
            performing=orphan.performing,
            ended=orphan.ended,
            why=orphan.cause,
            blame=orphan.blame,
            over=orphan.over,
            poison_after=app.settings.poison_after,
        )
        workers.sign_off(connection, orphan.name)
    back = [one for one in settled if one.state is RunState.QUEUED]
    entries = [ReadyEntry(one.run_id, one.queue, one.priority, one.retry_at) for one in back]
    freed += [after for one in settled for after in one.followed_by]
    announce(app, entries + [ReadyEntry(one.run_id, one.queue, one.priority, one.run_at) for one in freed])
    app.events.emit(ended_events(settled))
    if settled or freed:
        log.warning(
            "Ended what a dead process held.",
            extra={"worker": orphan.name, "cause": orphan.cause, "ended": len(settled), "released": len(freed)},
        )
    return bool(settled or freed)
