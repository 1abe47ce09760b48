"""Jobs for chaos, and a fork of the verb that ends attempts: it forgets to compare the token."""

from __future__ import annotations

import os
import time

from jobs import Job
from jobs.ledger.runs import end
from tests.faults.work import EFFECT, SOON
from worker.exchange import settler


class ChaosEffect(Job, queue="load", retry=SOON):
    """Write one row, after a while in which the process may be stopped."""

    n: int
    seconds: float = 0.0

    def perform(self) -> None:
        time.sleep(self.seconds)
        with self.run.transaction() as session:
            session.execute(
                EFFECT,
                {"n": self.n, "run_id": str(self.run.id), "attempt": self.run.attempt, "node_time": time.time()},
            )


def forget_the_token() -> None:
    """Plant the bug in this process and in those that it forks."""
    with_token = end._end

    def fork(dialect: str) -> object:
        statement = with_token(dialect)._generate()
        statement._where_criteria = tuple(one for one in statement._where_criteria if "token" not in str(one))
        return statement

    end._end = fork  # type: ignore[assignment]
    # Plain successes have a statement of their own; without it all go through the fork.
    settler.is_plain = lambda attempt_result: False  # type: ignore[attr-defined]


if os.environ.get("CHAOS_FORK"):
    forget_the_token()
