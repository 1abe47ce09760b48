"""Bundles: made on either dialect, opened without a server; no secret is in one, and an altered one is refused."""

from __future__ import annotations

import json
import sqlite3
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from starlette.testclient import TestClient

from admin_api.app import make_api
from admin_cli.main import run as jobledger
from admin_cli.serve.local_pages import link_to
from jobs import Job, Secret, boot
from jobs.app import App
from jobs.definition.published import published_kinds
from jobs.errors import BundleRefused, Conflict, Forbidden, NotFound, SelectorRefused
from jobs.formats.redact import HIDDEN
from jobs.ledger.effects import steps
from jobs.ledger.operators import audit_queries
from jobs.ledger.published_kinds import publish_kinds
from jobs.ledger.queries.selectors import Selector
from jobs.ledger.records import Failure
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.bulk.action import carry_out, plan
from jobs.operations.bulk.replay import ReplayAction
from jobs.operations.bundles.manifest import LEDGER, MANIFEST, Manifest, comment_of
from jobs.operations.bundles.read import open_bundle
from jobs.operations.bundles.write import make_bundle
from jobs.operations.runs.explain import explain
from jobs.operations.runs.inspect import find_run, list_runs
from jobs.runtime.context import correlate
from jobs.states import Cause, Outcome, RunState
from tests.book import Book

CANARY = "canary" + uuid4().hex
EVERY = Selector(is_all=True)
Make = Callable[..., Path]


class BundledCharge(Job, redact={"account"}):
    order: int = 0
    account: str = ""
    code: Secret[str] = ""
    inner: dict[str, str] = {}  # noqa: RUF012

    def perform(self) -> None:
        pass


@pytest.fixture
def make(app: App, ada: Operator, tmp_path: Path) -> Make:
    def made(selector: Selector = EVERY, name: str = "incident.jlb", by: Operator = ada, **given: object) -> Path:
        make_bundle(app, by, selector, tmp_path / name, **{"limit": 200, **given})  # type: ignore[arg-type]
        return tmp_path / name

    return made


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[Path], tuple[App, Manifest]]]:
    apps: list[App] = []

    def opening(path: Path) -> tuple[App, Manifest]:
        app, manifest = open_bundle(path, Path(tempfile.mkdtemp(dir=tmp_path)))
        apps.append(app)
        return app, manifest

    yield opening
    for one in apps:
        one.close()


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


def rewritten(path: Path, *, manifest: Callable[[dict[str, object]], None] | None = None, ledger: bytes | None = None,
              is_signed: bool = True) -> Path:  # fmt: skip
    """The bundle with another manifest or ledger; ``is_signed``: with the comment that fits the manifest."""
    with zipfile.ZipFile(path) as old:
        told, rows, comment = json.loads(old.read(MANIFEST)), old.read(LEDGER), old.comment
    if manifest is not None:
        manifest(told)
    text = json.dumps(told).encode()
    with zipfile.ZipFile(path, "w") as new:
        new.writestr(MANIFEST, text)
        new.writestr(LEDGER, ledger if ledger is not None else rows)
        new.comment = comment_of(text) if is_signed else comment
    return path


def test_an_altered_bundle_or_one_of_a_later_release_is_refused_in_one_line(
    app: App, book: Book, make: Make, opened: Callable[[Path], object], tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    book.enqueue()
    path = make()
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as bundle:
        (tmp_path / "rows.db").write_bytes(bundle.read(LEDGER))
    with sqlite3.connect(tmp_path / "rows.db") as edited:
        edited.execute("update job_runs set kind = 'Other'")
    edited.close()

    def later(told: dict[str, object]) -> None:
        told["revision"] = "1_9999"

    def sooner(told: dict[str, object]) -> None:
        told["runs"] = 7

    cases: dict[str, Callable[[], object]] = {
        "of a later release: format 2": lambda: rewritten(path, manifest=lambda told: told.update(format=2)),
        "with tables at 1_9999": lambda: rewritten(path, manifest=later),
        "its manifest is not the one": lambda: rewritten(path, manifest=sooner, is_signed=False),
        "the hash of ledger.db": lambda: rewritten(path, ledger=(tmp_path / "rows.db").read_bytes()),
        "is longer": lambda: rewritten(path, ledger=(tmp_path / "rows.db").read_bytes() + b"\0" * 9),
        "BadZipFile": lambda: path.write_bytes(whole[: len(whole) // 2]),
        "is damaged": lambda: path.write_bytes(b"not a zip"),
    }
    for says, alter in cases.items():
        path.write_bytes(whole)
        alter()
        with pytest.raises(BundleRefused, match=says):
            opened(path)
    monkeypatch.setattr(boot, "configure", lambda made: made)
    assert jobledger(["--bundle", str(path), "list"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
    with pytest.raises(NotFound):
        opened(tmp_path / "nosuch.jlb")


def test_the_command_line_reads_a_bundle_and_changes_nothing(
    app: App, book: Book, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBS_DATABASE_URL", app.settings.database_url or "")
    monkeypatch.setattr(boot, "configure", lambda made: made)
    monkeypatch.chdir(tmp_path)
    held = book.start()
    run = str(held.run_id)
    for _ in range(2):
        book.end(held, Outcome.FAILED)
        (held,) = book.claim(held.run_id)
    assert jobledger(["bundle", "--run", run, "-o", "i.jlb"]) == 0
    monkeypatch.setenv("JOBS_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")

    for line in ("list", f"show {run}", f"why {run}", f"attempts {run}", f"diff {run} 1 2", "status", "audit list",
                 "list --as-of 1s"):  # fmt: skip
        assert jobledger(["--bundle", "i.jlb", *line.split()]) == 0, capsys.readouterr().err
    told = capsys.readouterr()
    assert run in told.out
    for line, code, says in (
        (f"cancel {run} --yes", 2, "a bundle can only be read"),
        ("queues pause default --reason no", 1, "the reader of a bundle may not do this"),
        ("--database-url sqlite:///x.db list", 2, "instead of a ledger"),
    ):
        assert jobledger(["--bundle", "i.jlb", *line.split()]) == code
        assert says in capsys.readouterr().err


def test_the_pages_show_a_bundle_and_refuse_every_change(
    app: App, ada: Operator, book: Book, make: Make, tmp_path: Path
) -> None:
    run = book.enqueue()
    path = make()
    (tmp_path / "pages").mkdir()
    there, _ = open_bundle(path, tmp_path / "pages", api_read_only=True)
    headers = {"Accept": "text/html", "Origin": "https://localhost", "Sec-Fetch-Site": "same-origin"}
    client = TestClient(make_api(there), base_url="https://localhost", headers=headers)
    with client:
        key = link_to(there, "https://localhost").partition("?key=")[2]
        assert client.post("/link", data={"key": key}).status_code == 200

        page = client.get(f"/runs/{run}")
        assert page.status_code == 200
        assert str(run)[-8:] in page.text
        refused = client.post("/actions", data={"verb": "cancel", "ids": str(run), "reason": "no"})
        assert refused.status_code == 403
    assert list_runs(there, ada, Selector(states=("cancelled",))).runs == []
    there.close()


def test_what_was_due_when_the_bundle_was_made_is_due_for_ever(
    app: App, ada: Operator, book: Book, make: Make, opened: Callable[[Path], tuple[App, Manifest]]
) -> None:
    book.now = app.clock.now()
    book.enqueue(delay_seconds=3600.0)

    there, manifest = opened(make())

    assert there.clock.now() == manifest.made_at
    assert abs(there.clock.now() - app.clock.now()) < timedelta(minutes=1)
    assert len(list_runs(there, ada, Selector(states=("scheduled",))).runs) == 1
