"""The scheduler's answers to probes."""

from __future__ import annotations

from jobs.clock import SystemClock
from scheduler.health import SchedulerProgress


def test_a_turn_that_failed_is_a_problem_until_one_goes_well():  # K.19
    progress = SchedulerProgress(SystemClock())
    progress.turned()
    assert progress.problems() == []

    progress.ended("The ledger is read only.")
    assert progress.problems() == ["The ledger is read only."]

    progress.ended(None)
    assert progress.problems() == []
