"""The state that a run enters when an attempt ends: one rule, in SQL, for all code that ends attempts.

Cancel comes first; then success; then poison, a cause that the job or its policy gave, and the budget; otherwise the
run goes back to its queue.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Case, Integer, and_, bindparam, case, or_

from jobs.database.models import JobRun
from jobs.states import Cause, Outcome, RunState, checked_move

_SUCCEEDED, _DEAD, _CANCELLED, _QUEUED = (
    checked_move(RunState.RUNNING, after)
    for after in (RunState.SUCCEEDED, RunState.DEAD, RunState.CANCELLED, RunState.QUEUED)
)


def where_to(ended: Any) -> tuple[Case[str], Case[str | None]]:
    """The state a run enters from running, and the cause if it is dead.

    ``ended`` has the columns of an ending; ``poison_after`` must be bound.
    """
    poison_after = bindparam("poison_after", type_=Integer())
    is_poison = or_(
        and_(ended.is_crash == 1, JobRun.crashes >= poison_after - 1),
        and_(ended.is_loss == 1, JobRun.abandonments >= poison_after - 1),
    )
    is_spent = and_(ended.is_charged == 1, JobRun.charged >= JobRun.max_attempts - 1)
    alive = case(
        (JobRun.cancel_requested_at.is_not(None), _CANCELLED),
        (ended.outcome == Outcome.CANCELLED.value, _CANCELLED),
        (ended.outcome == Outcome.SUCCEEDED.value, _SUCCEEDED),
        (is_poison, _DEAD),
        (ended.cause.is_not(None), _DEAD),
        (is_spent, _DEAD),
        else_=_QUEUED,
    )
    why = case(
        (alive != _DEAD, None),
        (is_poison, Cause.POISON.value),
        (ended.cause.is_not(None), ended.cause),
        else_=Cause.EXHAUSTED.value,
    )
    return alive, why
