"""Why a held run is held back, in one sentence with its evidence."""

from __future__ import annotations

from datetime import datetime

from jobs.database.sql import Executor
from jobs.formats.duration import format_duration
from jobs.ledger.batches.gather import pending_children
from jobs.ledger.batches.parents import parents_of
from jobs.ledger.records import RunRecord
from jobs.states import Hold

SHOWN = 5
_AWAITED = {
    "signal": "the signal {name}",
    "sleep": "the end of its sleep, {name}",
    "children": "its children of the step {name}",
    "parents": "its parents",
}


def explain_hold(session: Executor, run: RunRecord, now: datetime) -> tuple[str, str, list[tuple[str, object]]]:
    """The code, the sentence and the evidence for a run that is on hold."""
    what, _, name = (run.held_on or "").partition(":")
    thing = f"{what} {name}".strip() or "something that the ledger does not name"
    until = "" if run.held_until is None else f", for {format_duration(run.held_until - now)} more at most"
    evidence: list[tuple[str, object]] = [("held since", run.held_at), ("due", run.run_at)]
    if run.held_until is not None:
        evidence.append(("ready by itself", run.held_until))
    if run.hold is Hold.PARKED:
        return "parked", f"It is parked: {thing} has no room for it{until}.", evidence
    if what in _AWAITED:
        thing = _AWAITED[what].format(name=name)
    if what == "parents":
        some = parents_of(session, run.id)[:SHOWN]
        evidence += [("parent", f"{one.kind} {str(one.id)[-8:]}: {one.state}") for one in some]
    if what == "children" and (count := pending_children(session, run.id, name)) is not None:
        evidence.append(("children", f"{count[0]:,} of {count[1]:,} have not ended"))
    return "waiting", f"It waits for {thing}{until}.", evidence
