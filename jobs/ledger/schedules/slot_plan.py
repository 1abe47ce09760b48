"""Slot plan: what a tick decides for one schedule, before anything is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from jobs.errors import DefinitionError
from jobs.ledger.schedules.broken_schedules import problem_of
from jobs.ledger.schedules.schedules import ScheduleRecord
from jobs.scheduling.misfires import ON_TIME, Decision, SlotState, decide
from jobs.scheduling.schedule import MIN_INTERVAL, Schedule
from jobs.scheduling.slots import backlog, next_slot

KEEP = 1000
"""Most rows that one schedule's backlog may get at once; the oldest row counts the older slots. Source: decision.

A month of missed seconds is one number, not two million rows.
"""


@dataclass(slots=True)
class SlotPlan:
    """The decisions for one schedule. ``held`` is the slot that still waits afterwards."""

    record: ScheduleRecord
    decided_until: datetime
    next_slot_at: datetime | None
    held: datetime | None
    decisions: list[Decision] = field(default_factory=list)
    # How many older slots have no row of their own, and which decision's row counts them.
    older_missed: int = 0
    stands_for_them: int = 0
    problem: str | None = None
    is_unreadable: bool = False


def plan_slots(record: ScheduleRecord, until: datetime, moment: datetime, live: int) -> SlotPlan:
    """The decisions for the slots of ``record`` that are due up to ``until``; ``live`` counts its unended runs."""
    # Never back: a clock that was set back must not reopen decided slots.
    decided_until = max(record.decided_until, until)
    plan = SlotPlan(record, decided_until, None, record.held_slot_at)
    if problem := problem_of(record):
        plan.is_unreadable, plan.problem = True, problem
        return plan
    try:
        schedule = record.schedule
        plan.next_slot_at = next_slot(schedule, decided_until)
        due = backlog(schedule, after=record.decided_until, until=until, keep=_keep(schedule))
    except (DefinitionError, OverflowError) as error:
        plan.decided_until, plan.problem = record.decided_until, str(error)[:500]
        return plan
    if plan.held is not None and live == 0:
        plan.decisions.append(Decision(plan.held, SlotState.FIRED, "an earlier run has ended"))
        plan.held, live = None, 1
    waiting = live + (plan.held is not None)
    plan.older_missed, plan.stands_for_them = due.cut, len(plan.decisions)
    for decision in decide(schedule, due.slots, now=moment, live=waiting):
        if schedule.overlap == "queue_one" and decision.state is SlotState.FIRED and live:
            # One slot may wait, and this is it.
            plan.held = decision.slot
            continue
        live += decision.state is SlotState.FIRED
        plan.decisions.append(decision)
    return plan


def _keep(schedule: Schedule) -> int:
    on_time = ON_TIME // MIN_INTERVAL + 1
    return max(KEEP, schedule.max_catch_up + on_time)
