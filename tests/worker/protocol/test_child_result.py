"""ChildResult: it carries everything that the parent needs to settle an attempt."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from uuid import UUID

from jobs.ledger.records import AttemptResult, Completion, Failure, KeptLog, NewRun
from jobs.states import Cause, Outcome
from worker.protocol.child_result import CHILD_RESULT, ChildResult

STAYS = {"claim", "ended_monotonic", "error"}
"""Fields that the parent has already, or does not need."""


def test_a_child_result_keeps_all_fields_on_its_way_to_the_parent() -> None:
    run = NewRun(id=UUID(int=1), kind="next", queue="default", arguments="{}", max_attempts=3, delay_seconds=2.0)
    attempt_result = AttemptResult(
        claim=None,  # type: ignore[arg-type]
        outcome=Outcome.FAILED,
        elapsed_seconds=1.5,
        ended_monotonic=7.0,
        delay_seconds=3.0,
        cause=Cause.GAVE_UP,
        result='"done"',
        failure=Failure("ValueError", "no", "Traceback …", "c41d9e2a77b0"),
        then=(run,),
        completes=(Completion(UUID(int=2), "message", (run,)),),
        arguments='{"args": []}',
        held_on="signal:approval",
        held_until=datetime(2026, 3, 1, 12, tzinfo=UTC),
        awaits=UUID(int=3),
        log=KeptLog("[]", 1, 0),
    )

    said = CHILD_RESULT.dump_json(ChildResult.of(attempt_result, None, was_interrupted=False))
    heard = CHILD_RESULT.validate_json(said).attempt_result(attempt_result.claim, 7.0)

    for field in fields(AttemptResult):
        if field.name not in STAYS:
            assert getattr(attempt_result, field.name), f"{field.name} is not tried"
            assert getattr(heard, field.name) == getattr(attempt_result, field.name)
