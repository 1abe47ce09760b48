"""`jobs replay --edit`: the arguments in $EDITOR, checked against the job's fields before anything is done."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs import boot
from jobs.app import App
from tests.admin_cli.conftest import Ended, Program
from tests.conftest import MakeApp

Edit = Callable[[str], Ended]


@pytest.fixture
def program(
    in_shop: Callable[[App], Program], make_app: MakeApp, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> Program:
    app = make_app(sqlite_url)
    monkeypatch.setattr(boot, "_app", app)
    return in_shop(app)


@pytest.fixture
def edit(program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Edit:
    """Replays the dead run with an editor that leaves this text in the file."""

    def run(text: str) -> Ended:
        (tmp_path / "wanted").write_text(text)
        editor = tmp_path / "editor"
        # The file must look changed, however coarse the clock of the file system is.
        editor.write_text(f'#!/bin/sh\ncp "$1" {tmp_path}/shown\ncp {tmp_path}/wanted "$1"\ntouch -d "+1 hour" "$1"\n')
        editor.chmod(0o755)
        monkeypatch.setenv("EDITOR", str(editor))
        monkeypatch.delenv("VISUAL", raising=False)
        return program("replay", "c9165be1", "--edit", "--import", "shop.jobs", "--yes", "-o", "json")

    return run


def test_saved_arguments_make_a_new_run_that_names_the_old_one(program: Program, edit: Edit, tmp_path: Path) -> None:
    ended = edit('{"order_id": 42, "card": "ok"}')

    assert ended.code == 0, ended.err
    assert json.loads((tmp_path / "shown").read_text()) == {"order_id": 42, "card": "declined"}
    (new,) = json.loads(ended.out)["data"]["new_runs"]
    run = json.loads(program("show", new["id"], "-o", "json").out)["data"]
    assert run["arguments"] == {"order_id": 42, "card": "ok"}
    assert run["replayed_from"] == new["replays"]
    assert json.loads(program("show", "c9165be1", "-o", "json").out)["data"]["state"] == "dead"


@pytest.mark.parametrize(
    ("saved", "code", "said"),
    [
        ('{"order_id": 42, "card": "declined"}', 2, "no argument was changed"),
        ('{"order_id": 42, "card": "ok", "colour": "red"}', 2, "no argument 'colour'"),
        ('{"order_id": 42}', 2, "'card' was removed"),
        ('{"order_id": 42,', 2, "not JSON"),
        ("[1]", 2, "not a JSON object"),
        ('{"order_id": "seven", "card": "ok"}', 4, "skipped"),
    ],
)
def test_arguments_that_do_not_fit_change_nothing(
    program: Program, edit: Edit, saved: str, code: int, said: str
) -> None:
    before = program("list", "-o", "name").out

    ended = edit(saved)

    assert (ended.code, said in ended.err) == (code, True), ended
    assert program("list", "-o", "name").out == before


def test_an_editor_that_fails_or_is_not_there_is_one_clear_line(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    for editor in ("false", "/nonexistent/editor"):
        monkeypatch.setenv("VISUAL", editor)
        ended = program("replay", "c9165be1", "--edit", "--import", "shop.jobs", "--yes")
        assert ended.code in (1, 2)
        assert ended.err.startswith("error: ")
        assert ended.err.count("\n") == 1
