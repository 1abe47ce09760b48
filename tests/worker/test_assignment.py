from __future__ import annotations

from uuid import UUID

import pytest

from jobs.states import Outcome
from worker.assignment import OVER_LIMIT, SHUTDOWN_LIMIT, SILENT, ZYGOTE_DIED, Orphan

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
def test_who_is_charged_for_the_death_of_a_process(cause: str, over: tuple[UUID, ...], blame: Outcome) -> None:
    orphan = Orphan("host/1", (GUILTY, OTHER), (), cause, over)

    assert orphan.blame is blame
    assert Orphan.from_message(orphan.as_message()) == orphan
