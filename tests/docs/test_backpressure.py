"""docs/backpressure.md: its classes and calls work, and its commands do what the page says."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from admin_cli.main import cli
from jobs.app import App
from jobs.definition import registry
from jobs.definition.max_waiting import max_waiting_kinds

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "backpressure.md").read_text()
CODE = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture
def classes(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    monkeypatch.setattr(registry, "_classes", {})  # Other tests have jobs of the same names.
    names: dict[str, Any] = {"__name__": "backpressure_page", "timedelta": timedelta}
    exec(compile(CODE[0], "docs/backpressure.md", "exec"), names)
    yield names
    for kind in ("Thumbnail", "Refresh"):
        registry.forget(kind)
        max_waiting_kinds.pop(kind, None)


def test_the_calls_of_the_page_enqueue_and_its_commands_set_show_and_clear_the_limit(
    app: App, classes: dict[str, Any], ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBS_DATABASE_URL", ledger_url)
    assert max_waiting_kinds["Thumbnail"].most == 10_000
    exec(compile(CODE[1], "docs/backpressure.md", "exec"), classes)

    said = []
    (commands,) = re.findall(r"```console\n(.*?)```", PAGE, flags=re.DOTALL)
    for line in commands.splitlines():
        done: Any = CliRunner().invoke(cli, shlex.split(line.removeprefix("$ "))[1:])
        assert done.exit_code == 0, f"{line}: {done.output}"
        said.append(done.output)

    assert "At most 100,000 runs may wait in queue images" in said[0]
    assert "100,000 runs" in said[1]
    assert "it was 100,000" in said[2]
