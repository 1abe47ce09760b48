"""Output of the commands: the same on each dialect, within 80 columns, and without control characters of the data."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable

import pytest
from rich.cells import cell_len

from jobs import boot
from jobs.app import App
from tests.admin_cli import world
from tests.admin_cli.conftest import Program
from tests.admin_cli.lines import ACTS, READS, REFUSED
from tests.book import Book
from tests.conftest import MakeApp

HOSTILE = "a\x1b[2J\x1b]0;x\x07\r\n\t\x9b31m\u202e\u200b\x7fé日本語\U0001f469‍\U0001f680" + "\u0301" * 6
PLAIN = re.compile(r"[^\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]*")


def masked(text: str) -> str:
    """The text without what differs between two ledgers: moments, ages, spans, ids, the ledger's URL."""
    # A long URL is wrapped.
    text = re.sub(r"(sqlite|postgresql)\S*://\S+(\n {16}\S+$)*", "LEDGER", text, flags=re.M)
    text = re.sub(r"--cursor \S+", "--cursor CURSOR", text)
    text = re.sub(r'"next": "[^"]+"', '"next": "CURSOR"', text)
    ids: dict[str, str] = {}

    def numbered(found: re.Match[str]) -> str:
        return ids.setdefault(found[0][-8:], f"ID{len(ids)}")

    # First, because an id may contain what looks like a span.
    text = re.sub(r"\b[0-9a-f]{8}-[0-9a-f-]{27}\b|\b(?=[0-9a-f]*\d)[0-9a-f]{8}\b", numbered, text)
    text = re.sub(
        r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?(\.\d+)?(Z|\+00:00| UTC)?( \((in )?\w+( ago)?\))?", "MOMENT", text
    )
    text = re.sub(r"\b(in )?(\d+(\.\d+)?(ms|d|h|m|s))+( ago)?\b|\bnow\b", "SPAN", text)
    text = re.sub(r"\b\d+\.\d+\b", "NUMBER", text)
    # Columns are as wide as the ages in them.
    return re.sub(r" {2,}", "  ", text)


def session(program: Program) -> list[tuple[str, int, str, str]]:
    """Every command line and its output."""
    told = []
    for line in (*READS, *REFUSED):
        for form in ("", " -o json", " -o table"):
            if form and ("-o " in line or line.startswith(("dlq export", "migrate", "workers stop", "queues pause"))):
                continue
            ended = program(*shlex.split(line + form))
            told.append((line + form, ended.code, masked(ended.out), masked(ended.err)))
    for line in ACTS:
        for part in (line, "list"):
            ended = program(*shlex.split(part))
            told.append((part, ended.code, masked(ended.out), masked(ended.err)))
    return told


def test_both_dialects_give_the_same_answers(
    in_shop: Callable[[App], Program], make_app: MakeApp, sqlite_url: str, pg_database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    # Wide enough that a longer age shortens no cell.
    monkeypatch.setenv("COLUMNS", "300")
    told = []
    for url in (sqlite_url, pg_database):
        app = make_app(url)
        monkeypatch.setattr(boot, "_app", app)
        told.append(session(in_shop(app)))

    assert [pair for pair in zip(*told, strict=True) if pair[0] != pair[1]] == []
    codes = {line: code for line, code, _, _ in told[0]}
    assert {codes[line] for line in READS} == {0}
    assert {codes[line] for line in REFUSED} == {2, 3, 4}
    # stdout shows the traceback of a run; one of ours would be on stderr.
    assert [line for line, _, _, err in told[0] if "Traceback" in err or "bug in jobledger" in err] == []


@pytest.fixture
def sqlite_program(
    in_shop: Callable[[App], Program], make_app: MakeApp, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> Program:
    app = make_app(sqlite_url)
    monkeypatch.setattr(boot, "_app", app)
    return in_shop(app)


@pytest.mark.parametrize("columns", [80, 40])
def test_every_table_fits_80_columns(sqlite_program: Program, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    for line in READS:
        if "-o " in line or line.startswith(("dlq export", "migrate")):
            continue
        ended = sqlite_program(*shlex.split(line), "-o", "table")

        assert ended.code == 0, ended.err
        assert max(map(cell_len, ended.lines), default=0) <= columns, line


def test_values_cannot_move_the_cursor(
    sqlite_program: Program, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    app = boot._app
    assert app is not None
    book = Book(app.database)
    book.change(
        world.DEAD, error_type=HOSTILE, error_message=HOSTILE, key=HOSTILE, correlation_id=HOSTILE,
        tags=json.dumps([HOSTILE]), arguments=json.dumps({HOSTILE: HOSTILE, "order_id": 42, "card": HOSTILE}),
            result=json.dumps([HOSTILE]),
        worker=HOSTILE, enqueued_by=HOSTILE, progress=json.dumps({HOSTILE: HOSTILE}),
    )  # fmt: skip
    assert sqlite_program("kinds", "pause", "Mail", "--reason", HOSTILE).code == 0

    for line in READS:
        for form in ("table", "wide", "tsv", "json"):
            if "-o " in line and form != "table":
                continue
            can_choose = "-o " not in line and not line.startswith(("dlq export", "migrate"))
            if (
                can_choose
                and form == "wide"
                and line.split()[0] in ("show", "status", "why", "replay", "cancel", "purge")
            ):
                continue
            ended = sqlite_program(*shlex.split(line), *(["-o", form] if can_choose else []))
            for shown in ended.lines + ended.err.splitlines():
                assert PLAIN.fullmatch(shown.replace("\t", "") if form == "tsv" or not can_choose else shown), (
                    line,
                    shown,
                )
                if form == "table" and can_choose and shown in ended.lines:
                    assert cell_len(shown) <= 80, (line, shown)
