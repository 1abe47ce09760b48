"""Every wrong argument, setting, file, id or module: one clear line, and the right exit code."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.fork_server import jobledger

ROOT = Path(__file__).resolve().parents[2]

GOOD = "import datetime, jobs\nclass Hi(jobs.Job):\n    name: str = 'x'\n    def perform(self): ...\n"
GOOD += "class When(jobs.Job):\n    at: datetime.datetime\n    def perform(self): ...\n"
FILES = {
    "ok.py": GOOD,
    "broken.py": "import jobs\nclass A(jobs.Job:\n",
    "missing.py": "import nothere_\n",
    "boom.py": "raise ValueError('boom')\n",
    "x.json": "{",
    "nul.json": '{"name": "\\u0000"}',
    "half.json": '{"name": "\\ud800"}',
    "big.json": f'{{"name": "{"x" * 300_000}"}}',
    "bytes_.py": "\0",
}
NO_LEDGER = {"JOBS_DATABASE_URL": "sqlite:////nonexistent/x.db"}

CASES = [
    (["list"], {}, 2, "jobledger migrate up"),
    (["worker"], {}, 2, "--import"),
    (["worker", "--import", "broken"], "made", 2, "broken.py, line 2"),
    (["worker", "--import", "missing"], "made", 2, "nothere_"),
    (["worker", "--import", "boom"], "made", 2, "boom.py, line 1"),
    (["worker", "--import", "ok.py"], "made", 2, "Name the module: ok"),
    (["worker", "--import", "nope"], "made", 2, "no module 'nope'"),
    (["worker", "--import", ""], "made", 2, "no module's name"),
    (["worker", "--import", "a" * 5000], "made", 2, "no file has so long a name"),
    (["worker", "--import", "ok", "--queue", "bad queue"], "made", 2, "'bad queue'"),
    (["worker", "--import", "bytes_"], "made", 2, "syntax error"),
    (["enqueue", "Hii", "--import", "ok"], "made", 3, "Did you mean 'Hi'?"),
    (["enqueue", "Hi", "-a", "nme=3", "--import", "ok"], "made", 2, "nme"),
    (["enqueue", "Hi", "-a", "name", "--import", "ok"], "made", 2, "NAME=VALUE"),
    (["enqueue", "Hi", "--args", "nofile", "--import", "ok"], "made", 2, "nofile"),
    (["enqueue", "Hi", "--args", "x.json", "--import", "ok"], "made", 2, "x.json is not JSON"),
    (["enqueue", "Hi", "--args", "nul.json", "--import", "ok"], "made", 2, "NUL"),
    (["enqueue", "Hi", "--args", "half.json", "--import", "ok"], "made", 2, "'name'"),
    (["enqueue", "Hi", "--args", "big.json", "--import", "ok"], "made", 2, "262,144 are allowed"),
    (["enqueue", "When", "-a", "at=2026-01-01T00:00:00", "--import", "ok"], "made", 2, "without a time zone"),
    (["enqueue", "Hi", "--queue", "bad queue", "--import", "ok"], "made", 2, "'bad queue'"),
    (["list"], {"JOBS_THREADS": "abc", "JOBS_LEASE": "-3"}, 2, "JOBS_LEASE"),
    (["list"], {"JOBS_DATABASE_URL": "foo"}, 2, "JOBS_DATABASE_URL"),
    (["list"], {"JOBS_DATABASE_URL": "mysql://u:secret@h/d"}, 2, "mysql"),
    (["list"], {"JOBS_DATABASE_URL": "sqlite://"}, 2, "Name a file"),
    (["list"], {"JOBS_DATABASE_URL": "postgresql://u:secret@127.0.0.1:1/d"}, 5, "//***@127.0.0.1"),
    (["list"], NO_LEDGER, 5, "unable to open"),
    (["--database-url", "sqlite:///ok.py", "list"], {}, 2, "no SQLite database"),
    (["show", "zzz"], "made", 3, "'zzz' is not a run id"),
    (["show", "abcdef12"], "made", 3, "no run abcdef12"),
    (["lst"], {}, 2, "Did you mean 'list'?"),
    (["demo", "nofolder"], {}, 2, "nofolder is not a folder"),
    (["migrate", "down", "7_0", "--yes"], "made", 2, "7_0"),
    (["migrate", "sql", "--from", "where:"], "made", 2, "'where:' is not a revision"),
    (["migrate", "sql", "--from", "@"], "made", 2, "'@' is not a revision"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    here = tmp_path_factory.mktemp("application")
    for name, text in FILES.items():
        (here / name).write_text(text)
    made = here / "made"
    made.mkdir()
    for name, text in FILES.items():
        (made / name).write_text(text)
    assert run(made, ["migrate", "up"], {}).returncode == 0
    return here


def run(folder: Path, arguments: list[str], variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("JOBS_")}
    return subprocess.run(
        [*jobledger(), *arguments],
        cwd=folder, env={**plain, "PYTHONPATH": str(ROOT), **variables}, capture_output=True, text=True, timeout=60,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.mark.parametrize(("arguments", "where", "code", "said"), CASES, ids=[" ".join(case[0]) for case in CASES])
def test_bad_input_is_one_clear_line(folder, arguments, where, code, said) -> None:
    variables = {} if where == "made" else where

    answer = run(folder / "made" if where == "made" else folder, arguments, variables)

    assert answer.returncode == code, answer.stderr
    assert said in answer.stderr
    assert answer.stderr.startswith("error: ")
    assert answer.stderr.count("\n") == 1
    assert "Traceback" not in answer.stderr
    assert "secret" not in answer.stderr
