"""The chain of the audit: it holds while operators act, and each change by hand is named."""

from __future__ import annotations

from uuid import UUID

import pytest

from jobs.app import App
from jobs.clock import new_run_id
from jobs.errors import SelectorRefused
from jobs.ledger.operators import audit_queries
from jobs.operations.audit.operator import Operator
from jobs.operations.audit.verify import anchor
from jobs.operations.bulk.undo import plan_undo, undo
from tests.book import Book
from tests.jobs.operations.audit.chain import acted as acted
from tests.jobs.operations.audit.chain import app as app
from tests.jobs.operations.audit.chain import cancel, check, key, sql


def run_of(app: App, action: UUID, place: int) -> str:
    with app.database.read() as connection:
        return str(audit_queries.entries_of(connection, action)[place].run_id)


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
