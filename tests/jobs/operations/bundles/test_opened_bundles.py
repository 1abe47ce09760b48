"""Bundles that are opened: by the command line and the pages, altered ones, and ones of a later release."""

from __future__ import annotations

import json
import sqlite3
import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from admin_api.app import make_api
from admin_cli.main import run as jobledger
from admin_cli.serve.local_pages import link_to
from jobs import boot
from jobs.app import App
from jobs.errors import BundleRefused, NotFound
from jobs.ledger.queries.selectors import Selector
from jobs.operations.audit.operator import Operator
from jobs.operations.bundles.manifest import LEDGER, MANIFEST, Manifest, comment_of
from jobs.operations.bundles.read import open_bundle
from jobs.operations.runs.inspect import list_runs
from jobs.states import Outcome
from tests.book import Book
from tests.jobs.operations.bundles.making import Make
from tests.jobs.operations.bundles.making import make as make
from tests.jobs.operations.bundles.making import opened as opened


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
