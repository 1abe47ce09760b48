"""docs/sealed.md: its classes perform, and its commands make keys, open, rotate and forget as the page says."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from admin_cli.main import cli
from jobs.definition import registry
from jobs.states import RunState
from jobs.testing import Ledger

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "sealed.md").read_text()


@pytest.fixture
def classes(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    monkeypatch.setattr(registry, "_classes", {})  # Other tests have jobs of the same names.
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    names: dict[str, Any] = {"__name__": "sealed_page", "pay": lambda order_id, card: None}
    exec(compile(code, "docs/sealed.md", "exec", dont_inherit=True), names)
    yield names
    for kind in ("Charge", "Diagnose"):
        registry.forget(kind)


def test_the_jobs_of_the_page_perform_and_its_commands_do_what_it_says(
    classes: dict[str, Any], sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBS_DATABASE_URL", sqlite_url)
    monkeypatch.setenv("JOBS_SEAL_KEYS_FILE", str(tmp_path / "keys"))
    commands = [line[2:] for part in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL) for line in part.splitlines()]
    said = [run(commands.pop(0))]

    with Ledger(sqlite_url, seal_keys_file=tmp_path / "keys") as ledger:
        charged = ledger.perform(classes["Charge"](order_id=7, card="4111 1111"))
        advised = ledger.perform(classes["Diagnose"](patient_id=42, findings={"blood": "fine"}))
        assert {one.run.state for one in (charged, advised)} == {RunState.SUCCEEDED}
        said += [run(command.replace("RUN", str(charged.run.id))) for command in commands]

    assert "key 2026-12 seals from now on" in said[0]
    assert "4111 1111" in said[1]
    assert "key 2027-01 seals from now on" in said[2]
    assert "values and 1 keys of subjects sealed again" in said[3]
    assert "Forgotten" in said[4]


def run(command: str) -> str:
    done: Any = CliRunner().invoke(cli, shlex.split(command)[1:])
    assert done.exit_code == 0, f"{command}: {done.output} {done.exception}"
    return str(done.output)
