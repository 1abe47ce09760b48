"""The follow-ups of a run, from the jobs that an enqueue call names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from jobs.definition.checks import is_job
from jobs.errors import EnqueueRefused
from jobs.formats.shown import shown
from jobs.ledger.records import FollowUp

if TYPE_CHECKING:
    from jobs.app import App


def followups_of(app: App, **by_state: Sequence[Any]) -> tuple[FollowUp, ...]:
    found = []
    for state, many in by_state.items():
        for job in many if isinstance(many, Iterable) else [many]:
            if not is_job(job):
                raise EnqueueRefused(
                    f"A follow-up is a job, got {shown(job)}.", hint="on_success=[SendMail(order_id=7)]"
                )
            found.append(FollowUp(state, job.new_run(app)))
    return tuple(found)
