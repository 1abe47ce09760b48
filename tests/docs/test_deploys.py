"""docs/deploys.md: the three steps of a change, and the lines of CI, do what the page says."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.definition import registry
from jobs.operations.audit.operator import Operator
from jobs.operations.deploys.compat import KindCompat, Result, compare
from jobs.testing import Ledger
from tests.fork_server import jobledger

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "deploys.md").read_text()
BEFORE, EXPANDED, CONTRACTED = re.findall(r"```python\n(.*?)```", PAGE, re.S)
CI = re.findall(r"```sh\n(.*?)```", PAGE, re.S)[1]
RENAMED = BEFORE.replace("order: int", "order_id: int")


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with Ledger() as ledger:
        yield ledger
    registry.forget("SendInvoice")


def deploy(code: str) -> type:
    registry.forget("SendInvoice")
    space = {"__name__": "shop"}
    exec(code, space)
    return space["SendInvoice"]  # type: ignore[return-value]


def waiting(ledger: Ledger) -> KindCompat:
    return {one.place: one for one in compare(ledger.app, Operator("ci"))}["waiting"]


def test_the_three_steps_lose_no_run(ledger: Ledger) -> None:
    old = deploy(BEFORE)(order=7).enqueue().id  # type: ignore[attr-defined]
    deploy(RENAMED)
    assert waiting(ledger).breaks
    deploy(CONTRACTED)
    assert waiting(ledger).breaks

    expanded = deploy(EXPANDED)
    assert waiting(ledger).result is Result.UPCAST
    assert ledger.perform(old).error is None
    new = expanded(order_id=8).enqueue().id  # type: ignore[attr-defined]
    assert waiting(ledger).result is Result.FITS

    deploy(CONTRACTED)
    assert waiting(ledger).result is Result.FITS
    assert ledger.perform(new).error is None


@pytest.mark.parametrize(("code", "exit_code", "says"), [(RENAMED, 1, "see compat.json"), (EXPANDED, 0, "fit this")])
def test_the_lines_of_ci_fail_a_release_that_breaks(
    ledger: Ledger, tmp_path: Path, code: str, exit_code: int, says: str
) -> None:
    before = deploy(BEFORE)
    for order in (7, 8):
        before(order=order).enqueue()  # type: ignore[attr-defined]
    (tmp_path / "shop.py").write_text(code)
    program = tmp_path / "bin" / "jobledger"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.join(jobledger())} "$@"\n')
    program.chmod(0o755)
    env = {
        "PATH": f"{program.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path),
        "LEDGER_URL": ledger.app.settings.database_url or "",
    }  # fmt: skip

    ended = subprocess.run(["sh", "-c", CI], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)

    assert ended.returncode == exit_code, ended.stderr
    assert says in ended.stdout
    rows = json.loads((tmp_path / "compat.json").read_text())["data"]
    assert [row["misfits"] for row in rows] == [2 if exit_code else 0]
    if exit_code:
        (said,) = re.findall(r"`(SendInvoice: .*?)`", PAGE)
        assert said in ended.stderr


def test_ci_is_ten_lines() -> None:
    assert len(CI.splitlines()) == 10
