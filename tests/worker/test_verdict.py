"""Verdict: what a child says of an attempt is all that its parent settles."""

from __future__ import annotations

from dataclasses import fields
from uuid import UUID

from jobs.ledger.records import Completion, Ending, Failure, NewRun
from jobs.states import Cause, Outcome
from worker.verdict import VERDICT, Verdict

STAYS = {"claim", "ended_monotonic", "error"}
"""What the parent has, or has no use for."""


def test_nothing_of_an_ending_is_lost_between_child_and_parent() -> None:
    run = NewRun(id=UUID(int=1), kind="next", queue="default", arguments="{}", max_attempts=3, delay_seconds=2.0)
    ending = Ending(
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
    )

    said = VERDICT.dump_json(Verdict.of(ending, None, was_interrupted=False))
    heard = VERDICT.validate_json(said).ending(ending.claim, 7.0)

    for field in fields(Ending):
        if field.name not in STAYS:
            assert getattr(ending, field.name), f"{field.name} is not tried"
            assert getattr(heard, field.name) == getattr(ending, field.name)
