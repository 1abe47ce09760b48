"""Rehearse: what is said before is what is done after, and saying it changes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.app import App
from jobs.errors import Forbidden
from jobs.ledger.queries.selectors import Selector
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.bulk import action, dry_run
from jobs.operations.bulk.action import Act, carry_out, plan
from jobs.operations.bulk.cancel import CancelAction
from jobs.operations.bulk.purge import PurgeAction, RestoreAction
from jobs.states import RunState
from tests.book import Book
from tests.jobs.operations.bulk.acting import act_on, dead_runs, replay


@pytest.mark.parametrize("verb", ["replay", "cancel", "purge", "erase", "restore"])
def test_a_dry_run_reports_what_the_action_then_does(
    app: App, ada: Operator, book: Book, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead, waiting, held = dead_runs(book, 3), book.enqueue(), book.start()
    book.cancel(held.run_id)
    for run_id in (dead[0], waiting):
        book.change(run_id, key="order:7")
    act_on(app, ada, PurgeAction(), Selector(ids=(dead[1],)))
    acts: dict[str, Act] = {
        "replay": replay(app, ada),
        "cancel": CancelAction(),
        "purge": PurgeAction(),
        "erase": PurgeAction(erase=True),
        "restore": RestoreAction(),
    }
    monkeypatch.setattr(dry_run, "BATCH", 2)
    every = tuple(run.id for run in map(book.run, (*dead, waiting, held.run_id)))
    planned = plan(app, ada, acts[verb], Selector(ids=every, states=tuple(state.value for state in RunState)))
    before = [book.run(one) for one in every]

    found = dry_run.dry_run_of(app, ada, acts[verb], planned)
    told = [book.run(one) for one in every]
    done = carry_out(app, ada, acts[verb], planned)

    assert told == before
    assert (found.skipped, sorted(found.some_skipped)) == (done.skipped, sorted(done.some_skipped))
    assert found.example not in {one for one, _ in found.some_skipped}
    assert planned.count - found.skipped == done.done


def test_a_change_is_shown_with_what_it_was_and_checked_against_the_job(
    app: App, ada: Operator, book: Book, mail_job: Any
) -> None:
    old, _ = book.bring(RunState.DEAD, arguments={"order_id": 7, "card": "declined"})
    bad, _ = book.bring(RunState.DEAD, arguments={"order_id": "x", "card": "declined"})
    act = replay(app, ada, changes={"card": "ok"}, priority=5)

    found = dry_run.dry_run_of(app, ada, act, plan(app, ada, act, Selector(ids=(old, bad))))

    assert found.example == old
    assert found.changes == [
        ("run", "stays as it is", "a new run that names it"),
        ("argument card", "declined", "ok"),
        ("priority", 0, 5),
    ]
    assert [run_id for run_id, _ in found.some_skipped] == [bad]
    assert action.SHOWN == dry_run.SHOWN


def test_an_operator_without_the_permission_sees_no_dry_run(app: App, ada: Operator, book: Book) -> None:  # K2.C
    reader = Operator("eve", frozenset({Permission.RUNS_READ}))
    dead_runs(book, 1)
    act = replay(app, ada)
    planned = plan(app, ada, act, Selector(is_all=True))

    with pytest.raises(Forbidden, match="runs:replay"):
        dry_run.dry_run_of(app, reader, act, planned)
