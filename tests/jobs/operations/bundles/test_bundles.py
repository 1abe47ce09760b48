"""Bundles: made on either dialect, opened without a server; no secret is in one, and an altered one is refused."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from jobs import Job, Secret
from jobs.app import App
from jobs.definition.published import published_kinds
from jobs.errors import Conflict, Forbidden, NotFound, SelectorRefused
from jobs.formats.redact import HIDDEN
from jobs.ledger.effects import steps
from jobs.ledger.operators import audit_queries
from jobs.ledger.published_kinds import publish_kinds
from jobs.ledger.queries.selectors import Selector
from jobs.ledger.records import Failure
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.bulk.action import carry_out, plan
from jobs.operations.bulk.replay import ReplayAction
from jobs.operations.bundles.manifest import MANIFEST, Manifest
from jobs.operations.bundles.write import make_bundle
from jobs.operations.runs.explain import explain
from jobs.operations.runs.inspect import find_run, list_runs
from jobs.runtime.context import correlate
from jobs.states import Cause, Outcome, RunState
from tests.book import Book
from tests.jobs.operations.bundles.making import EVERY, Make
from tests.jobs.operations.bundles.making import make as make
from tests.jobs.operations.bundles.making import opened as opened

CANARY = "canary" + uuid4().hex


class BundledCharge(Job, redact={"account"}):
    order: int = 0
    account: str = ""
    code: Secret[str] = ""
    inner: dict[str, str] = {}  # noqa: RUF012

    def perform(self) -> None:
        pass


def content(path: Path) -> bytes:
    with zipfile.ZipFile(path) as bundle:
        return b"".join(bundle.read(name) for name in bundle.namelist())


def charge(book: Book, **arguments: object) -> Book:
    """A run that died with its secrets in its key, its error, its traceback and a step; and was replayed."""
    told = Failure("Declined", f"no money in {CANARY}", f"Traceback …\n  {CANARY!r}", "c41d9e2a77b0")
    run = book.enqueue(kind="BundledCharge", arguments=arguments, tags=json.dumps([CANARY]))
    book.change(run, key=f"charge:{CANARY}")
    (held,) = book.claim(run, kinds=["BundledCharge"])
    with book.database.write() as connection:
        steps.begin_effect(connection, held.run_id, held.token, "ask", attempt=1, now=book.now)
        steps.end_effect(connection, held.run_id, held.token, "ask", result=json.dumps({"of": CANARY}), now=book.now)
    book.end(held, Outcome.GAVE_UP, cause=Cause.GAVE_UP, failure=told)
    return book


def publish(app: App) -> None:
    with app.database.write() as connection:
        publish_kinds(connection, published_kinds(1000))


def test_a_bundle_opens_without_its_ledger_and_shows_what_was_there(
    app: App, ada: Operator, book: Book, make: Make, opened: Callable[[Path], tuple[App, Manifest]]
) -> None:
    held = book.start()
    book.end(held, Outcome.GAVE_UP, cause=Cause.GAVE_UP, failure=Failure("Boom", "bang", "Traceback …", "c41d9e2a77b0"))
    child = book.enqueue(parent_id=held.run_id, root_id=held.run_id)
    act = ReplayAction(app=app, operator=ada)
    carry_out(app, ada, act, plan(app, ada, act, Selector(ids=(held.run_id,))), reason="fixed")

    there, manifest = opened(make(Selector(ids=(held.run_id,))))

    assert (manifest.runs, manifest.related, manifest.dialect) == (1, 1, app.database.dialect)
    run, attempts = find_run(there, ada, str(held.run_id))
    assert (run.state, [one.error_message for one in attempts]) == (RunState.QUEUED, ["bang"])
    assert replace(find_run(app, ada, str(held.run_id))[0], held_on=None) == run
    assert [one.id for one in list_runs(there, ada, Selector(parents=(held.run_id,))).runs] == [child]
    assert explain(there, ada, str(held.run_id)).sentence == explain(app, ada, str(held.run_id)).sentence
    with there.database.read() as connection:
        (action,) = audit_queries.list_actions(connection, run_id=held.run_id)
    assert (action["verb"], action["reason"]) == ("replay", "fixed")


@pytest.mark.parametrize(
    "arguments",
    [
        {"account": CANARY},
        {"code": CANARY},
        {"inner": {"password": CANARY}},
    ],
    ids=["by redact", "by Secret", "by its name"],
)
def test_no_secret_is_in_a_bundle(
    app: App, ada: Operator, book: Book, make: Make, arguments: dict[str, object],
    opened: Callable[[Path], tuple[App, Manifest]],
) -> None:  # fmt: skip
    publish(app)
    charge(book, order=7, **arguments)

    path = make()

    assert CANARY.encode() not in content(path)
    there, _ = opened(path)
    (run,) = list_runs(there, ada, EVERY).runs
    assert run.arguments["order"] == 7
    assert run.key == "charge:(hidden)"
    assert path.stat().st_mode & 0o077 == 0


def test_every_value_of_a_kind_that_nobody_knows_is_hidden(
    app: App, ada: Operator, book: Book, make: Make, opened: Callable[[Path], tuple[App, Manifest]]
) -> None:
    book.enqueue(kind="NobodyKnowsIt", arguments={"order": 7123, "to": [CANARY]})

    path = make()

    assert CANARY.encode() not in content(path)
    (run,) = list_runs(opened(path)[0], ada, EVERY).runs
    assert run.arguments == {"order": "(hidden)", "to": ["(hidden)"]}


def test_full_arguments_need_the_permission_and_are_on_record(app: App, ada: Operator, book: Book, make: Make) -> None:
    publish(app)
    charge(book, code=CANARY)
    viewer = replace(ada, permissions=frozenset({Permission.RUNS_READ}))
    with pytest.raises(Forbidden):
        make(by=viewer, is_full=True)
    assert CANARY.encode() not in content(make(by=viewer, name="viewer.jlb"))

    with correlate("request-7"):
        path = make(is_full=True, reason="for the vendor")

    assert CANARY.encode() in content(path)
    with app.database.read() as connection:
        (action,) = audit_queries.list_actions(connection)
    assert (action["verb"], action["actor"], action["reason"], action["request_id"], action["done"]) == (
        "bundle", "ada@desk", "for the vendor", "request-7", 1,
    )  # fmt: skip


def test_full_arguments_need_a_reason_where_the_settings_require_one(app: App, ada: Operator, tmp_path: Path) -> None:
    strict = replace(app, settings=app.settings.model_copy(update={"require_reason": True}))
    with pytest.raises(SelectorRefused, match="A reason is required"):
        make_bundle(strict, ada, Selector(is_all=True), tmp_path / "full.jlb", limit=1, is_full=True)


def test_the_password_of_a_setting_is_hidden(app: App, book: Book, make: Make) -> None:
    book.enqueue()
    shown = json.loads(zipfile.ZipFile(make()).read(MANIFEST))["settings"]

    assert shown["api_secret"] in ("unset", HIDDEN)
    assert "://" in shown["database_url"]
    assert app.database.url.password is None or app.database.url.password not in shown["database_url"]


def test_the_latest_runs_are_taken_and_what_is_invalid_is_refused(app: App, book: Book, make: Make) -> None:
    for _ in range(3):
        book.enqueue()
        book.step(1)

    assert (json.loads(zipfile.ZipFile(make(limit=2)).read(MANIFEST))["is_cut"]) is True
    with pytest.raises(Conflict, match="already"):
        make()
    make(replaces=True)
    with pytest.raises(SelectorRefused):
        make(Selector(), name="other.jlb")
    with pytest.raises(NotFound):
        make(Selector(kinds=("Nosuch",)), name="other.jlb")
