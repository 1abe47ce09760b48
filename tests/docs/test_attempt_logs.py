"""docs/attempt-logs.md: its job keeps the lines that the page says, and its commands print them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from admin_cli.main import cli
from jobs.definition import registry
from jobs.testing import Ledger
from tests.worker.attempt.logging_jobs import streams as streams

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "attempt-logs.md").read_text()
LINES = ["charging order 7", "asking the bank", "bank says yes"]


def test_the_job_of_the_page_keeps_its_lines_and_its_commands_print_them(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_classes", {})
    monkeypatch.setenv("JOBS_DATABASE_URL", sqlite_url)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    with Ledger(sqlite_url) as ledger:
        exec(compile(code, "docs/attempt-logs.md", "exec", dont_inherit=True), {"__name__": "attempt_logs_page"})
        ((run,),) = ([one.run for one in ledger.drain()],)
    registry.forget("ChargeOrder")

    (commands,) = re.findall(r"```console\n(.*?)```", PAGE, flags=re.DOTALL)
    for line in commands.splitlines():
        words = shlex.split(line.removeprefix("$ ").replace("RUN", str(run.id)))[1:]
        done: Any = CliRunner().invoke(cli, words)
        assert done.exit_code == 0, f"{line}: {done.output}"
        assert all(text in done.output for text in LINES), done.output
