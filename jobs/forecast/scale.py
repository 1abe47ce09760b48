"""The signal for autoscalers: how many worker processes would meet the target of a queue."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median

from jobs.forecast.drain import threads_for
from jobs.forecast.queue_states import QueueState

STEP_DOWN = 0.25
"""The largest part of the processes that a signal takes away at once. Source: decision; damps a signal that swings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How many worker processes would meet a queue's target.

    Attributes:
        workers_wanted: damped: at most a quarter less than there are.
        workers: live processes that serve the queue.
        target_seconds: how long a ready run may wait.
        reason: ``paused``, ``idle``, ``unknown`` (no attempt has ended), ``limited`` (more would wait for a limit),
            ``behind`` or ``enough``.
    """

    queue: str
    workers_wanted: int
    workers: int
    ready: int
    target_seconds: float
    reason: str


def scale_of_state(state: QueueState, *, target_seconds: float, default_threads: int) -> Scale:
    """The signal for one queue.

    Args:
        default_threads: threads of a process, if none serves the queue.
    """
    count, serving = state.count, len(state.serving)
    each = round(median(one.threads for one in state.serving)) if serving else default_threads
    wanted, reason = _wanted(state, target_seconds, each, serving)
    least = math.ceil(serving * (1 - STEP_DOWN)) if reason != "paused" else 0
    return Scale(
        queue=count.queue,
        workers_wanted=max(wanted, least),
        workers=serving,
        ready=count.ready,
        target_seconds=target_seconds,
        reason=reason,
    )


def _wanted(state: QueueState, target: float, each: int, serving: int) -> tuple[int, str]:
    count, facts = state.count, state.facts
    if count.is_paused:
        return 0, "paused"
    if not count.ready and not count.running and not any(facts.came):
        return 0, "idle"
    threads = threads_for(facts, within=target)
    if threads is None:
        return max(1, serving), "unknown"
    wanted = max(1, math.ceil(threads / max(1, each)))
    if count.parked and wanted > serving and facts.busy < facts.threads:
        return max(1, serving), "limited"
    return wanted, "behind" if wanted > serving else "enough"
