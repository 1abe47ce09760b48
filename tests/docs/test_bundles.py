"""docs/bundles.md: its job is as the page says, and its commands make and open a bundle."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs import boot
from jobs.app import App
from jobs.definition import registry
from jobs.definition.published import published_kinds
from jobs.definition.redaction import secret_names
from tests.admin_cli.conftest import Program
from tests.admin_cli.conftest import in_shop as in_shop
from tests.conftest import MakeApp

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "bundles.md").read_text()
MAKE, LOOK = (block.splitlines() for block in re.findall(r"```sh\n(.*?)```", PAGE, re.S))


@pytest.fixture
def program(
    in_shop: Callable[[App], Program], make_app: MakeApp, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> Program:
    app = make_app(sqlite_url)
    monkeypatch.setattr(boot, "_app", app)
    return in_shop(app)


def test_the_commands_make_bundles_and_look_into_them(program: Program) -> None:
    for line in MAKE:
        ended = program(*shlex.split(line)[1:])
        assert ended.code == 0, ended.err
        assert (program.folder / ended.lines[0]).is_file()

    for line in LOOK[:-1]:
        ended = program(*shlex.split(line)[1:])
        assert ended.code == 0, ended.err
        assert "c9165be1" in ended.out


def test_the_job_of_the_page_marks_two_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_classes", {})
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    space: dict[str, object] = {"__name__": "bundles_page"}
    exec(compile(code, "docs/bundles.md", "exec", dont_inherit=True), space)

    (published,) = published_kinds(1000)

    assert secret_names(json.loads(published.schema or "")) == {"account", "code"}
