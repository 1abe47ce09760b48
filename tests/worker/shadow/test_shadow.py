"""Shadow runs: each difference of new code is found, and nothing reaches the ledger, the tables or the network."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text

from admin_cli.main import run as jobledger
from jobs import boot
from jobs.app import App
from jobs.database.models import Base
from jobs.definition import registry
from jobs.ledger.queries.selectors import Selector
from jobs.operations.audit.operator import Operator
from jobs.operations.shadow_runs.compare import Finding, ShadowReport, differences
from jobs.operations.shadow_runs.service import shadow
from jobs.states import RunState
from jobs.testing import Ledger
from worker.shadow.runner import ShadowRunner

HEAD = """
import jobs
from pydantic import Field
from sqlalchemy import text

ONCE = jobs.Retry(max_attempts=1)

async def five(): return 5

class ShadowChild(jobs.Job):
    n: int
    def perform(self): return self.n * 10

class ShadowAll(jobs.Job):
    # Everything that a job does: a step, children, a cursor, a transaction, runs enqueued.
    n: int = 7
    def more(self): return 0
    def perform(self):
        got = self.run.once("ask", lambda: {"price": 5})
        parts = self.run.gather("parts", [ShadowChild(n=1), ShadowChild(n=2)])
        cursor = self.run.cursor("rows")
        for place in range(cursor.value, 2):
            with cursor.advance(to=place + 1) as session:
                session.execute(text("insert into app_rows values (:n)"), {"n": place})
        with self.run.transaction() as session:
            session.execute(text("insert into app_rows values (:n)"), {"n": self.n})
            ShadowChild(n=self.n).enqueue(session=session)
        return {"total": self.more() + self.n * got["price"] + sum(parts)}
"""
PLAIN = "class {kind}(jobs.Job):\n    def perform(self): return 1"
ASYNC = "class {kind}(jobs.Job):\n    async def perform(self): return await self.run.once_async('ask', five)"
FAILS = "class {kind}(jobs.Job, retry=ONCE):\n    def perform(self): raise ValueError('as ever')"
STORED = """class {kind}(jobs.Job):
    document: jobs.Stored[bytes] = Field(default_factory=lambda: jobs.Stored(b"12345"))
    def perform(self): return self.document.read().decode() * 500"""
KINDS: dict[str, tuple[str, str | None]] = {
    # Of each kind: the old code and the new code, if it has any.
    "ShadowTotal": ("class {kind}(ShadowAll): pass", "class {kind}(ShadowAll):\n    def more(self): return 1"),
    "ShadowSame": ("class {kind}(ShadowAll): pass", "class {kind}(ShadowAll): pass"),
    "ShadowRaises": ("class {kind}(ShadowAll): pass", "class {kind}(ShadowAll):\n    def more(self): raise KeyError"),
    "ShadowPlain": (PLAIN, PLAIN),
    "ShadowCalls": (PLAIN, """class {kind}(jobs.Job):
    def perform(self):
        import urllib.request
        try: urllib.request.urlopen("http://127.0.0.1:9/x")
        except Exception: return 1"""),
    "ShadowFiles": (PLAIN, """class {kind}(jobs.Job):
    def perform(self):
        import sqlite3
        sqlite3.connect("other.db")"""),
    "ShadowStep": (PLAIN, """class {kind}(jobs.Job):
    def perform(self):
        try: return self.run.once("charge", lambda: open("charged", "w").close())
        except Exception: return 1"""),
    "ShadowDies": (PLAIN, """class {kind}(jobs.Job):
    def perform(self):
        import os
        os.kill(os.getpid(), 11)"""),
    "ShadowGone": (PLAIN, None),
    "ShadowAsync": (ASYNC, ASYNC),
    "ShadowFails": (FAILS, FAILS),
    "ShadowMends": (FAILS, PLAIN),
    "ShadowStored": (STORED, STORED),
}  # fmt: skip


def code_of(release: int) -> str:
    """The module of the old code (0) or of the new code (1)."""
    return HEAD + "\n\n".join(code[release].replace("{kind}", kind) for kind, code in KINDS.items() if code[release])


EXPECTED = {
    "ShadowTotal": (Finding.OTHER, "total was 65, and is 66"),
    "ShadowSame": (Finding.SAME, None),
    "ShadowRaises": (Finding.RAISES, "KeyError: "),
    "ShadowPlain": (Finding.SAME, None),
    "ShadowCalls": (Finding.BEYOND, "connects to 127.0.0.1:9"),
    "ShadowFiles": (Finding.BEYOND, "connects to the SQLite file other.db"),
    "ShadowStep": (Finding.BEYOND, "step 'charge'"),
    "ShadowDies": (Finding.LOST, "its process died of SIGSEGV"),
    "ShadowGone": (Finding.UNKNOWN, "the imported modules have no such kind"),
    "ShadowAsync": (Finding.SAME, None),
    "ShadowFails": (Finding.SAME, "it fails as before: ValueError: as ever"),
    "ShadowMends": (Finding.OTHER, "it was dead, and succeeds"),
    "ShadowStored": (Finding.SAME, None),
}
"""Of each kind: what the new code is found to do with the run."""


@pytest.fixture
def performed(ledger_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, UUID]]:
    """A ledger in which the old code has performed one run of each kind; the new code is in ``shadow_code.py``."""
    (tmp_path / "shadow_code.py").write_text(code_of(0))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    known = set(registry.kinds())
    old: Any = import_module("shadow_code")
    with Ledger(ledger_url, store_above=1024) as ledger:
        with ledger.app.database.write() as connection:
            connection.execute(text("create table app_rows (n integer)"))
        runs = {name: getattr(old, name)().enqueue().id for name in KINDS}
        ledger.drain()
    (tmp_path / "shadow_code.py").write_text(code_of(1))
    yield runs
    for kind in set(registry.kinds()) - known:
        registry.forget(kind)
    sys.modules.pop("shadow_code", None)


def content(app: App) -> dict[str, Any]:
    """Every row of every table but those of the audit, and of the application's table."""
    with app.database.read() as connection:
        found = {
            name: sorted(map(repr, connection.execute(select(table)).all()))
            for name, table in Base.metadata.tables.items()
            if not name.startswith("operator_a")
        }
        return {**found, "app_rows": connection.execute(text("select count(*) from app_rows")).scalar()}


def perform(app: App, runs: dict[str, UUID], **given: Any) -> dict[str, ShadowReport]:
    tables = app.database.url.render_as_string(hide_password=False)
    with ShadowRunner(["shadow_code"], app.settings, tables=tables, **given) as runner:
        chosen = Selector(ids=tuple(runs.values()))
        return {one.kind: one for one in shadow(app, Operator("ada"), chosen, runner, limit=100)}


def test_each_difference_is_found_and_the_ledger_stays_as_it_is(
    performed: dict[str, UUID], ledger_url: str, make_app: Callable[..., App], tmp_path: Path
) -> None:
    app = make_app(ledger_url)
    before = content(app)

    reports = perform(app, performed)

    assert {kind: (one.finding, one.why) for kind, one in reports.items()} == EXPECTED
    assert reports["ShadowTotal"].changes == [("total", 65, 66)]
    assert [one["arguments"] for one in reports["ShadowTotal"].enqueued] == [{"n": 7}]
    assert content(app) == before
    assert not (tmp_path / "charged").exists()
    assert not (tmp_path / "other.db").exists()
    with app.database.read() as connection:
        actions = connection.execute(select(Base.metadata.tables["operator_actions"])).all()
    assert [(one.verb, one.state, one.done) for one in actions] == [("shadow", "finished", len(EXPECTED))]
    worse = {kind for kind, one in reports.items() if one.is_worse}
    assert worse == set(EXPECTED) - {
        "ShadowSame", "ShadowPlain", "ShadowAsync", "ShadowFails", "ShadowMends", "ShadowStored",
    }  # fmt: skip
    assert {kind for kind, one in reports.items() if one.fails} == {
        "ShadowRaises", "ShadowDies", "ShadowGone", "ShadowFails",
    }  # fmt: skip


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_the_command_exits_6_and_guards_a_replay_and_reads_a_bundle(
    performed: dict[str, UUID], ledger_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    make_app: Callable[..., App],
) -> None:  # fmt: skip
    app = make_app(ledger_url)
    monkeypatch.setattr(boot, "configure", lambda made: made)
    monkeypatch.setenv("JOBS_DATABASE_URL", ledger_url)

    assert jobledger(["shadow", "-k", "ShadowTotal", "--import", "shadow_code", "-o", "json"]) == 6
    (told,) = json.loads(capsys.readouterr().out)["data"]
    assert (told["finding"], told["changes"]) == ("other result", [{"path": "total", "old": 65, "new": 66}])

    assert jobledger(["shadow", "--all"]) == 2

    gate = ["--import", "shadow_code", "--shadow", "5", "--yes"]
    assert jobledger(["replay", "-k", "ShadowFails", *gate]) == 6
    assert "nothing was replayed" in capsys.readouterr().err
    assert jobledger(["replay", "-k", "ShadowMends", *gate]) == 0
    with app.database.read() as connection:
        states = dict(connection.execute(text("select kind, state from job_runs")).all())  # type: ignore[arg-type]
    assert (states["ShadowFails"], states["ShadowMends"]) == (RunState.DEAD, RunState.QUEUED)

    assert jobledger(["bundle", "-k", "ShadowPlain", "--import", "shadow_code", "-o", "i.jlb"]) == 0
    monkeypatch.setenv("JOBS_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    assert jobledger(["--bundle", "i.jlb", "shadow", "--all", "--import", "shadow_code"]) == 0
    for line, code in (
        (["shadow", "--all", "--import", "shadow_code", "--allow", "nonsense"], 2),
        (["replay", "-k", "ShadowFails", "--shadow", "5", "--set", "n=1", "--yes"], 2),
        (["--bundle", "i.jlb", "shadow", "--all", "--import", "no_such_module"], 2),
    ):
        capsys.readouterr()
        assert jobledger(line) == code, line
        assert len(capsys.readouterr().err.splitlines()) <= 2


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": [1, 2]}, {"a": [1, 3]}, [("a.1", 2, 3)]),
        ({"a": 1}, {"b": 1}, [("a", 1, "(absent)"), ("b", "(absent)", 1)]),
        (1, True, [("", 1, True)]),
        (None, 0, [("", None, 0)]),
        ([1], [1, 2], [("1", "(absent)", 2)]),
    ],
)
def test_two_results_are_compared_place_by_place(old: Any, new: Any, expected: list[tuple[str, Any, Any]]) -> None:
    assert list(differences(old, new)) == expected
