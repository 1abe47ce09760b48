"""The chain of the audit: it holds while operators act, and each change by hand is named."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Table, delete, insert, select, text

from jobs import boot
from jobs.app import App
from jobs.clock import new_run_id
from jobs.database.models import Base
from jobs.errors import Conflict, SelectorRefused
from jobs.ledger.operators import audit, audit_chain, audit_queries
from jobs.ledger.operators.audit import AuditEntry
from jobs.ledger.queries.selectors import Selector
from jobs.ledger.runs import prune
from jobs.operations.audit.operator import Operator
from jobs.operations.audit.verify import Verification, anchor, verify
from jobs.operations.bulk import batches
from jobs.operations.bulk.action import carry_out, plan
from jobs.operations.bulk.cancel import CancelAction
from jobs.operations.bulk.undo import plan_undo, undo
from jobs.upkeep.loop import Upkeep
from tests.book import Book
from tests.conftest import MakeApp
from tests.waiting import wait_until

Rows = list[tuple[Table, list[dict[str, Any]]]]


@pytest.fixture
def app(ledger_url: str, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> App:
    """A ledger of the test's own, as the migrations made it: with the first link of its chain."""
    made = make_app(ledger_url)
    monkeypatch.setattr(boot, "_app", made)
    return made


EVERY = Selector(is_all=True, states=("queued",))


def cancel(app: App, ada: Operator, *, kind: str = "Mail") -> UUID:
    act = CancelAction(reason=None)
    return carry_out(app, ada, act, plan(app, ada, act, replace(EVERY, kinds=(kind,)))).action_id


def check(app: App, ada: Operator, **given: str) -> Verification:
    return verify(app, ada, **given)


@pytest.fixture(scope="module")
def filled() -> dict[str, tuple[list[UUID], Rows]]:
    """Of each dialect: what ``acted`` gives, and the rows of its ledger."""
    return {}


@pytest.fixture
def acted(
    app: App, ada: Operator, book: Book, monkeypatch: pytest.MonkeyPatch, filled: dict[str, tuple[list[UUID], Rows]]
) -> list[UUID]:
    """Two actions, of seven and three runs, in batches of four; both are in the chain.

    They are carried out once on each dialect; further ledgers get the same rows.
    """
    monkeypatch.setattr(batches, "BATCH", 4)
    book.step(-60)
    if app.database.dialect not in filled:
        filled[app.database.dialect] = act_twice(app, ada, book), rows_of(app)
    else:
        fill(app, filled[app.database.dialect][1])
    return filled[app.database.dialect][0]


def act_twice(app: App, ada: Operator, book: Book) -> list[UUID]:
    made = []
    for count in (7, 3):
        for _ in range(count):
            book.enqueue()
        made.append(cancel(app, ada))
    anchor(app, ada)
    return made


def rows_of(app: App) -> Rows:
    with app.database.read() as connection:
        every = [(table, connection.execute(select(table)).mappings().all()) for table in Base.metadata.sorted_tables]
    return [
        (table, [{name: as_written(value) for name, value in row.items()} for row in rows])
        for table, rows in every
        if rows
    ]


def as_written(value: Any) -> Any:
    """JSON is read as what it stands for, and written as text."""
    return json.dumps(value) if isinstance(value, dict) else value


def fill(app: App, rows: Rows) -> None:
    """Replace the rows of these tables."""
    with app.database.write() as connection:
        for table, _ in reversed(rows):
            connection.execute(delete(table))
        for table, some in rows:
            connection.execute(insert(table), some)


def run_of(app: App, action: UUID, place: int) -> str:
    with app.database.read() as connection:
        return str(audit_queries.entries_of(connection, action)[place].run_id)


def sql(app: App, statement: str, **values: object) -> None:
    with app.database.write() as connection:
        connection.execute(text(statement), values)


def key(app: App, given: UUID | str) -> str:
    """An id as the dialect stores it."""
    return UUID(str(given)).hex if app.database.dialect == "sqlite" else str(given)


def test_an_audit_that_nobody_touched_is_whole(app: App, ada: Operator, book: Book, acted: list[UUID]) -> None:
    undo(app, ada, plan_undo(app, ada, str(acted[1])))

    found = check(app, ada)
    assert (found.fault, found.actions, found.runs) == (None, 3, 13)
    # Begun, ended and undone; two batches and one; and the first link. What is new waits for its place.
    assert (found.links, found.pending) == (8, 4)
    assert anchor(app, ada).seq == 12
    assert check(app, ada).pending == 0


CHANGES: dict[str, tuple[str, str]] = {
    # How it is changed by hand, and what verify says.
    "a run altered": (
        "update operator_action_runs set skipped = 'it was not me' where action_id = :a and run_id = :r",
        "run {r} of action {a} was altered: it is not what the action did",
    ),
    "a run removed": (
        "delete from operator_action_runs where action_id = :a and run_id = :r",
        "a run before {next} of action {a} was removed: its batch had 4 runs",
    ),
    "every run removed": (
        "delete from operator_action_runs where action_id = :a",
        "every run of batch 4 of action {a} was removed: its batch had 4 runs",
    ),
    "a run inserted": (
        "insert into operator_action_runs (action_id, run_id, batch) values (:a, :new, 4)",
        "run {new} of action {a} was inserted: no link covers it",
    ),
    "a run inserted without a batch": (
        "insert into operator_action_runs (action_id, run_id) values (:a, :new)",
        "run {new} of action {a} was inserted: no link covers it",
    ),
    "a run of no action inserted": (
        "insert into operator_action_runs (action_id, run_id) values (:new, :r)",
        "run {r} of action {new} was inserted: there is no such action",
    ),
    "the operator altered": (
        "update operator_actions set actor = 'bob' where id = :a",
        "action {a} was altered: it is not what the operator asked for",
    ),
    "the reason altered": (
        "update operator_actions set reason = 'they asked for it' where id = :a",
        "action {a} was altered: it is not what the operator asked for",
    ),
    "the count altered": (
        "update operator_actions set done = 1 where id = :a",
        "action {a} was altered: its end is not the one on record",
    ),
    "an action removed": (
        "delete from operator_actions where id = :a",
        "action {a} was removed: its links are in the chain, and the pruner did not delete it",
    ),
    "an action inserted": (
        "insert into operator_actions "
        "(id, verb, actor, target, state, started_at, finished_at, expected, done, skipped) "
        "select :new, verb, 'bob', target, state, started_at, finished_at, 1, 1, 0 from operator_actions where id = :a",
        "action {new} was inserted: the chain does not have it",
    ),
    "a link altered": (
        "update operator_audit_links set digest = 'beef' where seq = 3",
        "link 3 of the chain was altered: its hash does not fit what it says and the link before it",
    ),
    "a link removed": (
        "delete from operator_audit_links where seq = 3",
        "link 3 of the chain was removed: link 4 follows link 2",
    ),
    "links cut off": (
        "delete from operator_audit_links where seq > 6",
        "link 7 of the chain was truncated: the head is at link 8",
    ),
    "every link cut off": (
        "delete from operator_audit_links",
        "the first link of the chain was removed: there is none",
    ),
    "the head removed": ("delete from operator_audit_head", "the head of the chain was removed: its row is gone"),
    "the head moved": (
        "update operator_audit_head set seq = 6",
        "the head of the chain was altered: it is not that of link 8",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_by_hand_is_named(app: App, ada: Operator, acted: list[UUID], name: str) -> None:
    statement, says = CHANGES[name]
    action, new = acted[0], new_run_id()
    run, following = run_of(app, action, 1), run_of(app, action, 2)
    values = {"a": key(app, action), "r": key(app, run), "new": key(app, new)}
    sql(app, statement, **{one: value for one, value in values.items() if f":{one}" in statement})

    found = check(app, ada)

    assert str(found.fault) == says.format(a=action, r=run, new=new, next=following)


def test_links_that_changed_places_are_named(app: App, ada: Operator, acted: list[UUID]) -> None:
    for old, new in ((3, 99), (5, 3), (99, 5)):
        sql(app, "update operator_audit_links set seq = :new where seq = :old", old=old, new=new)

    found = check(app, ada)

    assert str(found.fault) == "link 3 of the chain was reordered: the link that belongs there is link 5 now"


def test_a_chain_that_was_written_anew_does_not_contain_the_anchor(app: App, ada: Operator, acted: list[UUID]) -> None:
    kept = str(anchor(app, ada))
    assert check(app, ada, anchor=kept).fault is None
    sql(app, "delete from operator_action_runs where action_id = :a", a=key(app, acted[1]))
    sql(app, "delete from operator_actions where id = :a", a=key(app, acted[1]))
    sql(app, "delete from operator_audit_links where action_id = :a", a=key(app, acted[1]))
    sql(app, "update operator_audit_head set seq = (select max(seq) from operator_audit_links), hash = "
             "(select hash from operator_audit_links order by seq desc limit 1)")  # fmt: skip
    assert check(app, ada).fault is None

    found = check(app, ada, anchor=kept)

    assert str(found.fault) == "link 6 of the chain was truncated: the anchor is at link 8"
    cancel(app, ada, kind="Nothing")
    for bad in ("", "8", "8:xyz", "x:" + "0" * 64):
        with pytest.raises(SelectorRefused, match="is no anchor"):
            check(app, ada, anchor=bad)


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
