"""docs/shadow.md: its commands run, and its table has each finding."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs import boot
from jobs.app import App
from jobs.operations.shadow_runs.compare import Finding
from tests.admin_cli.conftest import Program
from tests.admin_cli.conftest import in_shop as in_shop
from tests.conftest import MakeApp

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "shadow.md").read_text()
(COMMANDS,) = (block.splitlines() for block in re.findall(r"```sh\n(.*?)```", PAGE, re.S))


@pytest.fixture
def program(
    in_shop: Callable[[App], Program], make_app: MakeApp, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> Program:
    app = make_app(sqlite_url)
    monkeypatch.setattr(boot, "_app", app)
    return in_shop(app)


def test_the_commands_of_the_page_run(program: Program) -> None:
    one, some, gate = (program(*shlex.split(line)[1:]) for line in COMMANDS)

    assert one.code == 0, one.err
    assert "other result" in one.out  # The dead run of the sample succeeds with the code at hand.
    assert some.code == 3
    assert "performed in the shadow, and none failed" in gate.err


def test_the_table_has_each_finding() -> None:
    assert re.findall(r"^\| ([a-z ]+) \|", PAGE, re.M)[1:] == [one.value for one in Finding]
