"""The mark of a ledger for chaos, and everything that refuses it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from jobs.app import App
from jobs.errors import Conflict, Forbidden, SelectorRefused
from jobs.ledger import workers
from jobs.operations.audit.actions import list_actions
from jobs.operations.audit.operator import ROLES, Operator
from jobs.operations.chaos.plan import Fault, PlannedFault
from jobs.operations.chaos.run import ChaosReport, ChaosRun
from jobs.operations.chaos.target import allow, revoke, show
from tests.book import Book

HOUR, TEN = timedelta(hours=1), timedelta(seconds=10)
HERE = "desk"


class NoProcesses:
    """A host whose worker processes have all ended; ``asked`` has what would have been signalled."""

    host = HERE

    def __init__(self) -> None:
        self.asked: list[int] = []

    def is_there(self, pid: int, identity: str) -> bool:
        self.asked.append(pid)
        return False

    kill = stop = thaw = is_there


def start_worker(app: App, name: str, *, chaos: str | None, host: str = HERE) -> None:
    with app.database.write() as connection:
        workers.register(
            connection, name, host=host, pid=4712, version="1", queues=["default"], kinds=["Mail"], threads=1,
            chaos=chaos, process="boot/1",
        )  # fmt: skip


def run(app: App, by: Operator, *, target: str = "staging", plan: Sequence[PlannedFault] = ()) -> ChaosReport:
    span = timedelta(seconds=4)
    return ChaosRun(app, by, NoProcesses(), target=target, span=span, plan=plan, options={"seed": 7}).run()


def test_a_marked_ledger_is_shown_and_on_record_and_unmarked_again(app: App, ada: Operator, book: Book) -> None:
    start_worker(app, "desk/1/a", chaos="staging")

    made = allow(app, ada, "staging", span=HOUR, reason="game day")
    mark, (worker,) = show(app, ada)

    assert mark == made
    assert (made.target, made.reason, made.allowed_by, made.is_over) == ("staging", "game day", "ada@desk", False)
    assert abs(made.allowed_until - made.allowed_at - HOUR) < timedelta(seconds=1)
    assert (worker.name, worker.target) == ("desk/1/a", "staging")
    assert revoke(app, ada, reason="it is over").target == "staging"
    assert show(app, ada)[0] is None
    gone, was = list_actions(app, ada)[:2]
    assert (was["verb"], was["target"], was["reason"]) == ("allow_chaos", "chaos:staging", "game day")
    assert (gone["verb"], gone["before"]["target"]) == ("revoke_chaos", "staging")
    with pytest.raises(Conflict, match="not marked"):
        revoke(app, ada)


@pytest.mark.parametrize("chaos", [None, "qa"])
def test_a_ledger_with_a_live_worker_that_was_not_started_for_it_refuses(
    app: App, ada: Operator, book: Book, chaos: str | None
) -> None:
    start_worker(app, "desk/1/a", chaos="staging")
    start_worker(app, "prod/1/b", chaos=chaos)

    with pytest.raises(Conflict, match=r"prod/1/b was started .* JOBS_CHAOS=staging, and no others"):
        allow(app, ada, "staging", span=HOUR)

    assert show(app, ada)[0] is None
    assert list_actions(app, ada) == []
    with app.database.write() as connection:
        workers.sign_off(connection, "prod/1/b")
    allow(app, ada, "staging", span=HOUR)
    start_worker(app, "prod/1/c", chaos=chaos)
    with pytest.raises(Conflict, match="prod/1/c was started"):
        run(app, ada)


@pytest.mark.parametrize(
    ("target", "span"), [("", HOUR), ("a b", HOUR), ("x" * 41, HOUR), ("staging", timedelta(days=8))]
)
def test_what_is_no_name_or_too_long_is_refused(
    app: App, ada: Operator, book: Book, target: str, span: timedelta
) -> None:
    with pytest.raises(SelectorRefused):
        allow(app, ada, target, span=span)


def test_chaos_refuses_a_ledger_that_is_not_marked_so(app: App, ada: Operator, book: Book) -> None:
    with pytest.raises(Conflict, match=r"not marked for chaos.*JOBS_CHAOS=staging"):
        run(app, ada)
    allow(app, ada, "qa", span=HOUR)
    with pytest.raises(Conflict, match="marked as qa, not as staging"):
        run(app, ada)
    allow(app, ada, "staging", span=HOUR)
    with pytest.raises(Conflict, match="No live worker was started for staging"):
        run(app, ada)
    start_worker(app, "far/1/a", chaos="staging", host="far")
    with pytest.raises(Conflict, match="No live worker is on this host, desk"):
        run(app, ada)
    start_worker(app, "desk/1/a", chaos="staging")
    allow(app, ada, "staging", span=timedelta(seconds=3))
    with pytest.raises(Conflict, match="before this run would"):
        run(app, ada)
    with pytest.raises(Forbidden):
        run(app, Operator("op", ROLES["operator"]))
    assert [action["verb"] for action in list_actions(app, ada)] == ["allow_chaos"] * 3


def test_a_run_ends_by_itself_and_a_second_one_at_once_is_refused(app: App, ada: Operator, book: Book) -> None:
    start_worker(app, "desk/1/a", chaos="staging")
    allow(app, ada, "staging", span=HOUR)
    refused: list[str] = []

    def start_another(_: object) -> None:
        with pytest.raises(Conflict) as caught:
            run(app, ada)
        refused.append(str(caught.value))
        with pytest.raises(Conflict, match="runs chaos on this ledger now"):
            allow(app, ada, "staging", span=HOUR)

    plan = [PlannedFault(0.1, Fault.KILL, 0.5)]
    report = ChaosRun(
        app, ada, NoProcesses(), target="staging", span=timedelta(seconds=30), plan=plan, options={"seed": 7},
        on_done=start_another,
    ).run()  # fmt: skip

    assert "ada@desk runs chaos on this ledger now" in refused[0]
    assert report.holds
    assert report.took_seconds <= 30
    assert [(one.did, one.is_made) for one in report.done] == [("no worker was there", False)]
    (action, *_) = list_actions(app, ada)
    assert (action["verb"], action["state"], action["done"], action["options"]) == ("chaos", "finished", 0, {"seed": 7})
    assert action["after"] == {"holds": True, "broken": [], "ended_early": None}
    assert show(app, ada)[0].run_until is None  # type: ignore[union-attr]


def test_a_run_ends_early_once_it_is_not_allowed_any_more(app: App, ada: Operator, book: Book) -> None:
    start_worker(app, "desk/1/a", chaos="staging")
    allow(app, ada, "staging", span=HOUR)
    plan = [PlannedFault(0.05, Fault.KILL, 0.5), PlannedFault(0.1, Fault.KILL, 0.5)]

    report = ChaosRun(
        app, ada, NoProcesses(), target="staging", span=timedelta(seconds=4), plan=plan, options={},
        on_done=lambda done: start_worker(app, "prod/1/b", chaos=None),
    ).run()  # fmt: skip

    assert len(report.done) == 1
    assert "prod/1/b was started for no chaos" in (report.ended_early or "")
    assert report.holds
