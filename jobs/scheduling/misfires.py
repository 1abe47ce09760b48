"""Decides the results of due slots: fired, skipped or missed. Pure; the scheduler writes the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from jobs.scheduling.schedule import Schedule

ON_TIME = timedelta(seconds=10)
"""A slot decided within this is on time. Source: DESIGN, a leader that dies is replaced within 10 s."""


class SlotState(StrEnum):
    """The result of a slot. Only operators make ``backfilled`` ones; it is never decided here."""

    FIRED = "fired"
    SKIPPED = "skipped"
    MISSED = "missed"
    BACKFILLED = "backfilled"


@dataclass(frozen=True, slots=True)
class Decision:
    """The result of one slot, and the reason; with ``cancels``, the schedule's live runs are cancelled first."""

    slot: datetime
    state: SlotState
    why: str
    cancels: bool = False


def decide(
    schedule: Schedule,
    due: Sequence[datetime],
    *,
    now: datetime,
    live: int = 0,
    on_time: timedelta = ON_TIME,
) -> list[Decision]:
    """One decision for each slot, in the order of ``due``.

    First, ``catch_up`` selects the slots that would fire. A slot no older than ``on_time`` always does; of the late
    ones

    - ``skip``: none;
    - ``latest``: the newest, if no slot is on time (that one is newer);
    - ``all``: the newest, until ``max_catch_up`` slots fire, those on time included.

    ``catch_up_window`` keeps an older late slot from firing. Slots that do not fire are *missed*.

    Then ``overlap`` selects which of those may fire: oldest first while there is room, and the rest are *skipped*.
    ``skip`` has room for one live run, ``queue_one`` for two (the scheduler holds the second until the first ends),
    ``allow`` for any. ``cancel_running`` fires the newest, which cancels the live runs, and skips those it would have
    cancelled.

    Args:
        due: slots up to ``now``, in order, without duplicates.
        now: the ledger's moment.
        live: runs of this schedule that have not ended.

    Raises:
        ValueError: ``due`` is out of order, or later than ``now``.
    """
    if any(one >= other for one, other in pairwise(due)) or (due and due[-1] > now):
        raise ValueError("due slots must be in order, none twice and none later than now")
    would_fire = {slot for slot in due if now - slot <= on_time}
    late = [slot for slot in reversed(due) if slot not in would_fire]
    missed = dict.fromkeys(late, f"late, and catch_up={schedule.catch_up}")
    room = {"skip": 0, "latest": 0 if would_fire else 1, "all": schedule.max_catch_up - len(would_fire)}
    for slot in late[: max(0, room[schedule.catch_up])]:
        if schedule.catch_up_window is not None and now - slot > schedule.catch_up_window:
            missed[slot] = "older than catch_up_window"
        else:
            would_fire.add(slot)
            del missed[slot]
    fires = _admitted(schedule, sorted(would_fire), live)
    cancels = schedule.overlap == "cancel_running" and live > 0
    decisions = []
    for slot in due:
        if slot in missed:
            decisions.append(Decision(slot, SlotState.MISSED, missed[slot]))
        elif slot not in fires:
            decisions.append(Decision(slot, SlotState.SKIPPED, f"overlap={schedule.overlap}"))
        else:
            why = "on time" if now - slot <= on_time else f"catch_up={schedule.catch_up}"
            decisions.append(Decision(slot, SlotState.FIRED, why, cancels=cancels))
    return decisions


def _admitted(schedule: Schedule, wanted: list[datetime], live: int) -> set[datetime]:
    match schedule.overlap:
        case "skip":
            return set(wanted[: max(0, 1 - live)])
        case "queue_one":
            return set(wanted[: max(0, 2 - live)])
        case "cancel_running":
            return set(wanted[-1:])
        case _:
            return set(wanted)
