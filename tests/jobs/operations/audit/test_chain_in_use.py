"""The chain of the audit holds while operators act, a pruner prunes and upkeep gives links their places."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from jobs.app import App
from jobs.clock import new_run_id
from jobs.errors import Conflict
from jobs.ledger.operators import audit, audit_chain
from jobs.ledger.operators.audit import AuditEntry
from jobs.ledger.runs import prune
from jobs.operations.audit.operator import Operator
from jobs.operations.audit.verify import anchor, verify
from jobs.upkeep.loop import Upkeep
from tests.book import Book
from tests.jobs.operations.audit.chain import acted as acted
from tests.jobs.operations.audit.chain import app as app
from tests.jobs.operations.audit.chain import cancel, check, key, sql
from tests.waiting import wait_until


def test_pruning_keeps_the_chain_whole(app: App, ada: Operator, book: Book, acted: list[UUID]) -> None:
    later = datetime.now(UTC) + timedelta(days=2)
    gone = []
    while not gone or gone[-1]:
        with app.database.write() as connection:
            gone.append(prune.prune_audit(connection, after=timedelta(days=1), limit=3, now=later))
        assert check(app, ada).fault is None, gone
    anchor(app, ada)

    found = check(app, ada)

    assert (found.fault, found.actions, found.pruned, found.pending) == (None, 0, 2, 0)


def test_the_beginning_of_the_chain_is_pruned_once_its_actions_are(
    app: App, ada: Operator, book: Book, acted: list[UUID]
) -> None:
    early, later, day = str(anchor(app, ada)), datetime.now(UTC) + timedelta(days=2), timedelta(days=1)
    with app.database.write() as connection:
        assert audit_chain.prune_links(connection, after=day, now=later) == 1  # The action of the others is there.
    while True:
        with app.database.write() as connection:
            if not prune.prune_audit(connection, after=day, now=later):
                break
    book.enqueue()
    cancel(app, ada)
    head = anchor(app, ada)
    gone = []
    while not gone or gone[-1]:
        with app.database.write() as connection:
            gone.append(audit_chain.prune_links(connection, after=day, limit=3, now=later))
        assert check(app, ada).fault is None, gone

    assert sum(gone) >= 8
    assert check(app, ada, anchor=str(head)).fault is None
    with pytest.raises(Conflict, match="the pruner has deleted the chain up to link"):
        check(app, ada, anchor=early)
    anchor(app, ada)
    found = check(app, ada)
    assert (found.fault, found.actions, found.pending) == (None, 1, 0)
    sql(app, "delete from operator_audit_links where seq = (select min(seq) from operator_audit_links)")
    assert "was removed" in str(check(app, ada).fault)


def test_actions_of_an_earlier_release_are_counted(app: App, ada: Operator, acted: list[UUID]) -> None:
    sql(app, "update operator_actions set started_at = :at where id = :a", a=key(app, acted[0]), at=OLD)
    sql(app, "delete from operator_audit_links where seq is not null")
    sql(app, "update operator_audit_head set seq = 0, hash = :hash", hash=audit_chain.NOTHING)
    start = "insert into operator_audit_links (id, part, size, digest, written_at) values (:id, 'start', 1, '0', :at)"
    sql(app, start, id=key(app, new_run_id()), at=AFTER)
    with app.database.write() as connection:
        audit.stop(connection, acted[0])
    sql(app, "delete from operator_action_runs where action_id = :a", a=key(app, acted[1]))
    sql(app, "delete from operator_actions where id = :a", a=key(app, acted[1]))

    assert (check(app, ada).fault, check(app, ada).before_chain) == (None, 1)

    sql(app, "delete from operator_action_runs")
    sql(app, "delete from operator_actions where id = :a", a=key(app, acted[0]))
    assert "an action from before the chain was removed: there were 1" in str(check(app, ada).fault)


OLD, AFTER = "2020-01-01 00:00:00.000000", "2020-01-02 00:00:00.000000"


def test_the_chain_holds_while_eight_operators_and_a_pruner_are_at_work(app: App, book: Book) -> None:
    book.step(-60)
    for number in range(8):
        for _ in range(15):
            book.enqueue(kind=f"Kind{number}")
    faults: list[object] = []
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            faults.append(verify(app, Operator("eve")).fault)

    def prune_and_chain() -> None:
        later = datetime.now(UTC) + timedelta(days=2)
        while not over.is_set():
            with app.database.write() as connection:
                audit_chain.chain_pending(connection, limit=7)
            with app.database.write() as connection:
                prune.prune_audit(connection, after=timedelta(days=1), limit=5, now=later)

    watchers = [threading.Thread(target=one) for one in (look, prune_and_chain)]
    operators = [
        threading.Thread(target=lambda n=n: cancel(app, Operator(f"operator{n}"), kind=f"Kind{n}"))  # type: ignore[misc]
        for n in range(8)
    ]
    for thread in (*watchers, *operators):
        thread.start()
    for thread in operators:
        thread.join()
    over.set()
    for thread in watchers:
        thread.join()
    anchor(app, Operator("eve"))

    assert faults
    assert set(faults) == {None}
    last = check(app, Operator("eve"))
    assert (last.fault, last.pending, last.actions + last.pruned) == (None, 0, 8)


def test_upkeep_gives_each_link_its_place_within_a_second(app: App, ada: Operator, book: Book) -> None:
    upkeep = Upkeep(app)
    upkeep.start()
    try:
        pending: Callable[[], bool] = lambda: check(app, ada).pending == 0  # noqa: E731
        assert wait_until(pending, seconds=60)
        book.step(-60)
        book.enqueue()
        cancel(app, ada)

        assert wait_until(pending, seconds=60)
    finally:
        upkeep.stop()


def test_a_batch_that_ends_after_its_action_was_stopped_keeps_the_chain_whole(app: App, ada: Operator) -> None:
    action = new_run_id()
    with app.database.write() as connection:
        audit.begin(connection, action, verb="cancel", actor="ada", target="runs", expected=2)
        audit.record(connection, action, [AuditEntry(new_run_id())])
    with app.database.write() as connection:
        assert audit.stop(connection, action)
    with app.database.write() as connection:
        audit.record(connection, action, [AuditEntry(new_run_id(), skipped="it moved")])

    assert (check(app, ada).fault, check(app, ada).runs) == (None, 2)
