from __future__ import annotations

from uuid import UUID

import pytest

from jobs.states import Outcome
from worker.protocol.assignment import OVER_LIMIT, SHUTDOWN_LIMIT, SILENT, ZYGOTE_DIED, DeadProcess

GUILTY, OTHER = UUID(int=1), UUID(int=2)


@pytest.mark.parametrize(
    ("cause", "over", "blame"),
    [
        ("signal 11", (), Outcome.CRASHED),
        ("exit 1", (), Outcome.CRASHED),
        (OVER_LIMIT, (GUILTY,), Outcome.RELEASED),
        (SILENT, (GUILTY,), Outcome.RELEASED),
        (SILENT, (), Outcome.ABANDONED),
        (ZYGOTE_DIED, (), Outcome.ABANDONED),
        (SHUTDOWN_LIMIT, (), Outcome.RELEASED),
        ("killed: third signal", (), Outcome.RELEASED),
    ],
)
def test_the_death_of_a_process_is_charged_to_the_run_that_it_performed(
    cause: str, over: tuple[UUID, ...], blame: Outcome
) -> None:
    dead_process = DeadProcess("host/1", (GUILTY, OTHER), (), cause, over)

    assert dead_process.blame is blame
    assert DeadProcess.from_message(dead_process.as_message()) == dead_process
