"""Why a held run is held back, in one sentence with its evidence."""

from __future__ import annotations

from datetime import datetime

from jobs.database.sql import Executor
from jobs.definition.redaction import HIDDEN
from jobs.formats.duration import format_duration
from jobs.ledger.batches.gather import pending_children
from jobs.ledger.batches.parents import parents_of
from jobs.ledger.limits.parked import key_of
from jobs.ledger.limits.reports import find_limit, holders
from jobs.ledger.run_records import RunRecord
from jobs.operations.runs.explain_breaker import on_breaker
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
    if what in ("limit", "rate"):
        return _on_limit(session, run, what, now, evidence)
    if what == "breaker":
        return on_breaker(session, run, now, evidence)
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


def _on_limit(
    session: Executor, run: RunRecord, what: str, now: datetime, evidence: list[tuple[str, object]]
) -> tuple[str, str, list[tuple[str, object]]]:
    key = key_of(run.held_on or "")
    whole, own = find_limit(session, (key[0], ""), now=now), find_limit(session, key, now=now)
    if whole is None or own is None:
        return "parked", f"It is parked on the {what} {key[0]}, which nobody declares now.", evidence
    # A key is the value of an argument, and hidden like the arguments.
    of_key = "" if own.key is None else f" of {own.key}" if run.arguments != HIDDEN else " of its key"
    held = max((one for one in (own, whole) if one.hold_until), key=lambda one: one.hold_until or now, default=None)
    if held is not None and held.hold_until is not None:
        evidence.append((f"{what} held until", held.hold_until))
        left = format_duration(held.hold_until - now)
        if held.held_by is None:
            return "parked", f"It is parked: an operator holds {key[0]}{of_key} for {left} more.", evidence
        evidence.append(("held by run", held.held_by))
        by = str(held.held_by)[-8:]
        said = f"It is parked: {key[0]}{of_key} is held until {_clock(held.hold_until, now)} by run {by}."
        return "parked", said, evidence
    if what == "rate":
        evidence.append(("parked on it", own.parked))
        pace = own.set_rate or whole.pace
        if run.held_until is None:
            return "parked", f"It is parked: it waits for a slot of {key[0]}{of_key} ({pace}).", evidence
        said = f"It is parked: its slot of {key[0]}{of_key} ({pace}) is at {_clock(run.held_until, now)}."
        return "parked", said, evidence
    allowed = own.allowed or whole.allowed
    some = [f"{str(run_id)[-8:]} since {since:%H:%M:%S}" for run_id, since in holders(session, key, now=now)]
    evidence += [("parked on it", own.parked), ("performing", ", ".join(some))]
    return "parked", f"It is parked: {key[0]}{of_key} has {own.in_use} of {allowed} performing.", evidence


def _clock(moment: datetime, now: datetime) -> str:
    """The time of day in UTC; with the day, if it is another one."""
    return f"{moment:%H:%M:%S}" if moment.date() == now.date() else f"{moment:%Y-%m-%d %H:%M:%S}"
