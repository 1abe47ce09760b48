"""Why: each cause, among runs that have other causes."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest

from jobs.app import App
from jobs.ledger import workers
from jobs.ledger.queries.selectors import Selector
from jobs.operations.audit.operator import Operator
from jobs.operations.bulk.action import carry_out, plan
from jobs.operations.bulk.cancel import CancelAction
from jobs.operations.control.pause import pause
from jobs.operations.runs.explain import Explanation, explain
from jobs.states import Cause, Outcome, RunState
from tests.book import BOOM, Book

Ask = Callable[[UUID], Explanation]


@pytest.fixture
def ask(app: App, ada: Operator, book: Book) -> Ask:
    """Asks, in a ledger that holds a run of each other sort."""
    for state in RunState:
        book.bring(state)
    book.enqueue(queue="other", kind="Other", delay_seconds=60.0)
    return lambda run_id: explain(app, ada, str(run_id)[-8:])


def start_worker(
    app: App, name: str = "w9", queues: tuple[str, ...] = ("default",), kinds: tuple[str, ...] = ("Mail",)
) -> None:
    with app.database.write() as connection:
        workers.register(
            connection, name, host="h", pid=1, version="1", queues=queues, kinds=kinds, threads=4
        )  # fmt: skip


def test_no_worker_is_live(app: App, book: Book, ask: Ask) -> None:
    assert ask(book.enqueue()).code == "no_worker"


def test_its_queue_is_paused_by_whom_and_why(app: App, ada: Operator, book: Book, ask: Ask) -> None:
    start_worker(app)
    run_id = book.enqueue()
    pause(app, ada, "queue", "default", reason="provider is down")

    found = ask(run_id)

    assert found.code == "queue_paused"
    assert found.sentence == "Its queue default is paused by ada@desk: provider is down."


def test_its_kind_is_paused(app: App, ada: Operator, book: Book, ask: Ask) -> None:
    run_id = book.enqueue()
    pause(app, ada, "kind", "Mail")
    assert ask(run_id).code == "kind_paused"
    assert ask(book.enqueue(kind="Other")).code != "kind_paused"


def test_it_is_not_due(book: Book, ask: Ask) -> None:
    found = ask(book.enqueue(delay_seconds=7200.0))
    assert found.code == "not_due"
    assert "1h59m" in found.sentence


def test_it_tries_again_after_an_error(book: Book, ask: Ask) -> None:
    held = book.start()
    book.end(held, Outcome.FAILED, failure=BOOM, delay=3600.0)

    found = ask(held.run_id)

    assert found.code == "retrying"
    assert "after attempt 1 failed: ValueError: boom" in found.sentence


def test_no_live_worker_knows_the_kind(app: App, book: Book, ask: Ask) -> None:
    start_worker(app)
    assert ask(book.enqueue(kind="Nobody")).code == "unknown_kind"


def test_no_live_worker_serves_the_queue(app: App, book: Book, ask: Ask) -> None:
    start_worker(app)
    assert ask(book.enqueue(queue="lonely")).code == "queue_not_served"


def test_workers_serve_the_queue_and_know_the_kind_but_never_both(app: App, book: Book, ask: Ask) -> None:
    start_worker(app, "a", queues=("lonely",), kinds=("Other",))
    start_worker(app, "b")
    found = ask(book.enqueue(queue="lonely"))
    assert found.code == "unknown_kind"
    assert "do not know" in found.sentence


def test_it_waits_behind_others(app: App, book: Book, ask: Ask) -> None:
    start_worker(app, queues=("busy",))
    for _ in range(3):
        book.enqueue(queue="busy")
    book.enqueue(queue="busy", priority=5)
    run_id = book.enqueue(queue="busy", priority=1)

    found = ask(run_id)

    assert found.code == "behind"
    assert found.sentence == "It waits behind 3 runs of queue busy."


def test_it_is_next(app: App, book: Book, ask: Ask) -> None:
    start_worker(app, queues=("quiet",))
    assert ask(book.enqueue(queue="quiet")).code == "next"


def test_a_worker_has_it(book: Book, ask: Ask) -> None:
    found = ask(book.start(worker="w7").run_id)
    assert found.code == "leased"
    assert found.sentence.startswith("w7 has performed attempt 1")


def test_its_worker_is_lost(book: Book, ask: Ask) -> None:
    book.step(-600)
    assert ask(book.start(worker="w7").run_id).code == "lost"


def test_it_is_being_cancelled(book: Book, ask: Ask) -> None:
    held = book.start()
    book.cancel(held.run_id)
    assert ask(held.run_id).code == "cancelling"


def test_it_expired_and_waits_to_be_dead_lettered(app: App, book: Book, ask: Ask) -> None:
    start_worker(app)
    book.step(-10)
    assert ask(book.enqueue(expires_seconds=1.0)).code == "expired"


@pytest.mark.parametrize("cause", list(Cause))
def test_it_is_dead_by_cause(book: Book, ask: Ask, cause: Cause) -> None:
    held = book.start()
    book.end(held, Outcome.GAVE_UP, cause=cause, failure=BOOM)

    found = ask(held.run_id)

    assert found.code == f"dead_{cause}"
    assert found.sentence.startswith("It is dead because ")
    assert "ValueError: boom" in found.sentence


def test_losses_and_crashes_are_evidence(book: Book, ask: Ask) -> None:
    held = book.start()
    book.end(held, Outcome.CRASHED)
    assert ("crashes", 1) in ask(held.run_id).evidence


def test_it_was_cancelled_by_whom(app: App, ada: Operator, book: Book, ask: Ask) -> None:
    run_id = book.enqueue()
    act = CancelAction(reason="ordered twice")
    carry_out(app, ada, act, plan(app, ada, act, Selector(ids=(run_id,))))

    assert ask(run_id).sentence == "It was cancelled by ada@desk: ordered twice."


def test_its_job_cancelled_it(book: Book, ask: Ask) -> None:
    held = book.start()
    book.end(held, Outcome.CANCELLED)
    assert ask(held.run_id).code == "cancelled_by_job"


def test_a_live_run_holds_the_key_of_a_dead_one(book: Book, ask: Ask) -> None:
    dead, _ = book.bring(RunState.DEAD)
    holder = book.enqueue()
    for run_id in (dead, holder):
        book.change(run_id, key="k")

    evidence = dict(ask(dead).evidence)

    assert str(evidence["key held by"]).startswith(str(holder)[-8:])


def test_it_succeeded(book: Book, ask: Ask) -> None:
    assert ask(book.bring(RunState.SUCCEEDED)[0]).code == "succeeded"
