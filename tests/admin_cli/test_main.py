from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from admin_cli.commands import COMMANDS
from admin_cli.main import cli, run

SAMPLE = Path(__file__).with_name("sample.py")
ROOT = Path(__file__).parents[2]
HEAVY = {"sqlalchemy", "dramatiq", "rich", "pydantic", "redis", "psycopg", "alembic", "structlog"}
LIGHT = {"jobs", "jobs.formats", "jobs.formats.escaping", "jobs.settings_defaults"}
"""Of ours below the command line, what every command may import: they import nothing but Python's own modules."""


def sh(line: str, tmp_path: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a shell line in which ``$JL`` is the sample program."""
    ours = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "PYTHONUTF8": "1"}
    program = f'JL="{sys.executable} {SAMPLE}"; '
    return subprocess.run(
        ["bash", "-c", program + line], capture_output=True, text=True, env={**ours, **env}, timeout=60
    )


def heavy(modules: set[str]) -> set[str]:
    """The modules that help must not import."""
    packages = {name.partition(".")[0] for name in modules}
    return packages & HEAVY | {name for name in modules if name.partition(".")[0] == "jobs"} - LIGHT


@pytest.mark.parametrize("args", [["--help"], ["--version"], [], ["complet"], ["completion", "--help"]])
def test_help_and_mistakes_import_nothing_heavy(args: list[str]) -> None:
    program = (
        "import sys, json\nfrom admin_cli.main import run\n"
        f"run({args!r})\n"
        "print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)

    loaded = set(json.loads(ended.stderr.splitlines()[-1]))
    assert "click" in loaded
    assert heavy(loaded) == set()


def test_a_list_on_sqlite_imports_neither_write_path_nor_psycopg_and_collects_garbage_again(sqlite_url: str) -> None:
    program = (
        "import atexit, gc, sys\nfrom admin_cli.main import main\n"
        "names = ('jobs.ledger.admission.keys', 'jobs.enqueue.write_path', 'psycopg', 'jobs.ledger.queries.find')\n"
        "atexit.register(lambda: print([one in sys.modules for one in names], gc.isenabled()))\n"
        "sys.argv = ['jobledger', 'list']\nmain()\n"
    )
    env = {**os.environ, "JOBS_DATABASE_URL": sqlite_url}
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, env=env)

    assert ended.stdout.splitlines()[-1:] == ["[False, False, False, True] True"], ended.stderr


def test_completion_imports_nothing_heavy(tmp_path) -> None:
    ended = sh(
        f"{sys.executable} -X importtime {SAMPLE.parents[2]}/admin_cli/main.py",
        tmp_path,
        _JOBLEDGER_COMPLETE="bash_complete",
        COMP_WORDS="jobledger compl",
        COMP_CWORD="1",
    )

    imported = {line.rpartition("|")[2].strip() for line in ended.stderr.splitlines()}
    assert ended.stdout == "plain,completion\n"
    assert "click" in imported
    assert heavy(imported) == set()


def test_the_help_of_the_table_is_each_commands_own() -> None:
    with cli.make_context("jobledger", ["--help"], resilient_parsing=True) as ctx:
        for name, entry in COMMANDS.items():
            command = cli.get_command(ctx, name)

            assert command is not None
            assert (command.help or "").splitlines()[0] == entry.help
            assert len(name) + len(entry.help) < 72


def test_every_command_answers_help_within_80_columns(capsys) -> None:
    for name in COMMANDS:
        assert run([name, "--help"]) == 0

        assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_bare_call_shows_the_help_where_there_is_no_ledger(capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JOBS_DATABASE_URL", raising=False)

    assert run([]) == 0
    assert capsys.readouterr().out.startswith("Usage: jobledger")


def test_bare_call_shows_the_status_once_there_is_a_ledger(sqlite_url, tmp_path) -> None:
    ended = sh("cd $HOME && $JL", tmp_path)

    assert ended.returncode == 0
    assert ended.stdout.startswith("ledger\tsqlite://")


def test_version_names_the_program(capsys) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("jobledger ")


@pytest.mark.parametrize("command", ["sample-list --many 3000", "sample-list -o json --many 300"])
def test_a_reader_that_goes_away_is_no_error(command: str, tmp_path: Path) -> None:
    ended = sh(f"$JL {command} | head -n 1; echo ${{PIPESTATUS[0]}}", tmp_path)

    assert ended.stderr == ""
    assert ended.stdout.splitlines()[-1] == "141"


def test_a_table_into_a_pipe_that_closed_is_no_error_either(tmp_path) -> None:
    ended = sh("$JL sample-list -o table --many 3000 | head -n 1; echo ${PIPESTATUS[0]}", tmp_path)

    assert (ended.stderr, ended.stdout.splitlines()[-1]) == ("", "141")


@pytest.mark.parametrize("where", [">&-", ">/dev/full"])
@pytest.mark.parametrize("command", ["sample-list", "sample-list -o json", "sample-list -o table", "sample-show"])
def test_output_that_cannot_be_written_is_a_failure_in_one_line(command, where, tmp_path) -> None:
    if where == ">/dev/full" and not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    ended = sh(f"$JL {command} {where}", tmp_path)

    assert ended.returncode == 1
    assert ended.stderr.startswith("error: cannot write to standard output: ")
    assert ended.stderr.count("\n") == 1


def test_a_closed_stderr_does_not_change_the_exit_code(tmp_path) -> None:
    assert sh("$JL sample-lst 2>&-", tmp_path).returncode == 2


def test_a_closed_descriptor_is_never_handed_to_a_file(tmp_path) -> None:
    script = tmp_path / "opens.py"
    script.write_text(
        "from admin_cli.terminal.streams import hold_standard_streams\n"
        "hold_standard_streams()\n"
        f"import os; n = os.open({str(tmp_path / 'ledger')!r}, os.O_CREAT | os.O_RDWR)\n"
        f"open({str(tmp_path / 'number')!r}, 'w').write(str(n))\n"
    )

    sh(f"{sys.executable} {script} <&- >&- 2>&-", tmp_path)

    assert int((tmp_path / "number").read_text()) >= 3


def test_ctrl_c_exits_130_in_one_line(tmp_path) -> None:
    program = (
        "import click, sys, types, os, signal\n"
        "from admin_cli.commands import COMMANDS\nfrom admin_cli.program.lazy import Entry\n"
        "from admin_cli.main import main\n"
        "@click.command()\ndef stop():\n    os.kill(os.getpid(), signal.SIGINT)\n    signal.pause()\n"
        "COMMANDS['stop'] = Entry('__main__:stop', 'Stop.')\n"
        "sys.argv = ['jobledger', 'stop']\nmain()\n"
    )
    script = tmp_path / "stop.py"
    script.write_text(program)

    ended = sh(f"{sys.executable} {script}", tmp_path)

    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "error: interrupted.\n")


def test_a_bug_in_a_real_process_shows_no_traceback_and_no_escape(piped) -> None:
    ended = piped("sample-bug")

    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert "\x1b" not in ended.err
    assert "Traceback" in piped("--debug", "sample-bug").err
