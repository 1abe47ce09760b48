"""Five operators replay, cancel and purge while a worker claims and settles: the ledger's rules hold."""

from __future__ import annotations

import random
import threading
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import func, select

from jobs.app import App
from jobs.database.models import JobAttempt, JobRun, OperatorAction
from jobs.ledger.admission import insert
from jobs.ledger.operators import audit_queries
from jobs.ledger.queries.selectors import Selector
from jobs.ledger.records import AttemptResult, Claim
from jobs.ledger.runs import claim, settle
from jobs.operations.audit.operator import Operator
from jobs.operations.bulk.action import carry_out, plan
from jobs.operations.bulk.batches import Act, Report, retry_while_busy
from jobs.operations.bulk.cancel import CancelAction
from jobs.operations.bulk.purge import PurgeAction
from jobs.operations.bulk.replay import ReplayAction
from jobs.states import Cause, Outcome
from tests.book import Book, attempt_result, new_run

ROUNDS = 4


@pytest.mark.slow
def test_five_operators_during_load_break_nothing(app: App, book: Book) -> None:
    with app.database.write() as connection:
        insert.insert_runs(connection, [new_run(max_attempts=2) for _ in range(600)])
    over = threading.Event()
    reports: list[Report] = []
    wrong: list[BaseException] = []
    refused: list[object] = []

    def take(worker: str) -> list[Claim]:
        with app.database.write() as connection:
            lease = timedelta(seconds=300)
            return claim.claim_due(connection, "default", count=20, kinds=["Mail"], worker=worker, lease=lease)

    def finish(worker: str, endings: list[AttemptResult]) -> list[AttemptResult]:
        with app.database.write() as connection:
            return settle.settle(connection, endings, worker=worker, poison_after=3, monotonic=0.0)[1]

    def work(seed: int) -> None:
        rng = random.Random(seed)
        try:
            while not over.is_set():
                held = retry_while_busy(partial(take, f"w{seed}"))
                endings = [
                    attempt_result(one, Outcome.SUCCEEDED)
                    if rng.random() < 0.3
                    else attempt_result(one, Outcome.GAVE_UP, cause=Cause.GAVE_UP)
                    for one in held
                ]
                refused.extend(retry_while_busy(partial(finish, f"w{seed}", endings)))
        except BaseException as error:
            wrong.append(error)

    def operate(seed: int) -> None:
        rng = random.Random(seed)
        ada = Operator(f"operator{seed}")
        try:
            for _ in range(ROUNDS):
                acts: list[Act] = [ReplayAction(app=app, operator=ada), CancelAction(), PurgeAction()]
                act = rng.choice(acts)
                states = ("dead", "cancelled") if isinstance(act, ReplayAction) else ()
                selector = Selector(is_all=True, limit=rng.randint(1, 200), states=states)
                planned = plan(app, ada, act, selector)
                report = carry_out(app, ada, act, planned)
                if report.done or report.skipped or report.expected:
                    reports.append(report)
        except BaseException as error:
            wrong.append(error)

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(2)]
    operators = [threading.Thread(target=operate, args=(seed,)) for seed in range(5)]
    for thread in workers + operators:
        thread.start()
    for thread in operators:
        thread.join(120)
    over.set()
    for thread in workers:
        thread.join(60)

    assert not wrong, wrong[0]
    # No live lease was touched: whoever claimed a run could end it.
    assert not refused
    with app.database.read() as connection:
        actions = {row["id"]: row for row in audit_queries.list_actions(connection, limit=1000)}
        assert set(actions) == {report.action_id for report in reports}
        assert connection.scalar(select(func.count()).select_from(OperatorAction)) == len(reports)
        for report in reports:
            row = actions[report.action_id]
            assert (row["state"], row["done"], row["skipped"]) == ("finished", report.done, report.skipped)
        tries = connection.execute(
            select(JobRun.attempt, func.count(JobAttempt.attempt))
            .join(JobAttempt, JobAttempt.run_id == JobRun.id, isouter=True)
            .group_by(JobRun.id)
        ).all()
    assert len(tries) == 600
    assert all(number == rows for number, rows in tries)
