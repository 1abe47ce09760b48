"""`jobs WORD` reaches the program, and the shell's own `jobs` stays the shell's: in real shells."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
Shell = Callable[..., str]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose ``bin`` has `jobledger` and `jobs`, as an installation has."""
    for name in ("jobledger", "jobs"):
        script = tmp_path / "bin" / name
        script.parent.mkdir(exist_ok=True)
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m admin_cli.main "$@"\n')
        script.chmod(0o755)
    return tmp_path


@pytest.fixture
def shell(home: Path) -> Shell:
    """``shell("bash", script)``: the output of a shell without start files; skipped if the shell is not installed."""

    def run(name: str, script: str, *flags: str) -> str:
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed")
        quiet = {"bash": ["--norc", "--noprofile"], "zsh": ["-f"], "fish": ["--no-config"]}.get(name, [])
        env = {"PATH": f"{home}/bin:{os.environ['PATH']}", "HOME": str(home), "TERM": "dumb"}
        ended = subprocess.run(
            [name, *quiet, *flags, "-c", script],
            env={**env, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
        return ended.stdout

    return run


INIT = {
    "bash": 'eval "$(jobledger shell-init bash)"',
    "zsh": 'eval "$(jobledger shell-init zsh)"',
    "fish": "jobledger shell-init fish | source",
}
SHELLS = pytest.mark.parametrize("name", list(INIT))


def status(name: str) -> str:
    return "$status" if name in ("zsh", "fish") else "$?"


def test_without_the_function_the_builtin_jobs_of_the_shell_runs(shell: Shell) -> None:
    assert "jobledger" not in shell("bash", "jobs --version")
    assert "jobledger" in shell("bash", "jobledger --version")
    assert "jobledger" in shell("sh", "jobledger --version")
    assert "jobledger" in shell("sh", "env jobs --version")


@SHELLS
def test_a_word_or_a_long_option_reaches_the_program(name: str, shell: Shell) -> None:
    shown = shell(name, f"{INIT[name]}\njobs --version\njobs no-such-word 'two words'; echo {status(name)}")

    assert shown.splitlines()[0].startswith("jobledger ")
    assert shown.splitlines()[1:] == ["error: No such command 'no-such-word'. See: jobs --help", "2"]


@SHELLS
def test_bare_jobs_and_its_options_stay_with_the_shell(name: str, shell: Shell) -> None:
    end = "kill $last_pid" if name == "fish" else "kill %1"
    job = f"sleep 30 &\njobs\njobs -l\njobs %1\n{end}"

    shown = shell(name, f"{INIT[name]}\n{job}")

    assert "error:" not in shown
    assert shown.count("sleep 30") >= 2
    assert "Usage" not in shown


def test_job_numbers_and_substitutions_go_on_working_in_bash(shell: Shell) -> None:
    script = 'sleep 30 &\njobs 1; [ "$(jobs -p)" = "$!" ] && echo same; kill $(jobs -p); wait; jobs'

    shown = shell("bash", f"{INIT['bash']}\n{script}")

    assert "sleep 30" in shown.splitlines()[0]
    assert "same" in shown
    assert "error:" not in shown


def test_the_long_options_of_fishs_own_jobs_stay_its_own(shell: Shell) -> None:
    shown = shell("fish", f"{INIT['fish']}\nsleep 30 &\njobs --pid\njobs --query; echo $status\nkill $last_pid")

    assert "error:" not in shown
    assert "0" in shown.splitlines()


@SHELLS
def test_the_shell_function_passes_its_arguments_unchanged(name: str, shell: Shell, home: Path) -> None:
    (home / "bin/jobledger").rename(home / "bin/real")
    fake = home / "bin/jobledger"
    fake.write_text(
        '#!/bin/sh\ncase "$1" in shell-init) exec real "$@";; esac\n'
        'printf "<%s>" "$JOBLEDGER_NAME" "$@"; echo; exit 7\n'
    )
    fake.chmod(0o755)

    shown = shell(name, f"{INIT[name]}\njobs list --arg 'a  b=*' '' -- -x; echo {status(name)}")

    assert shown.splitlines() == ["<jobs><list><--arg><a  b=*><><--><-x>", "7"]


@SHELLS
def test_loading_it_twice_does_no_harm(name: str, shell: Shell) -> None:
    shown = shell(name, f"{INIT[name]}\n{INIT[name]}\njobs --version")

    assert shown.startswith("jobledger ")
    assert len(shown.splitlines()) == 1


@pytest.mark.parametrize("word", ["jobs", "jobledger"])
def test_bash_completes_both_names(word: str, shell: Shell) -> None:
    script = (
        f"{INIT['bash']}\nCOMP_WORDS=({word} compl) COMP_CWORD=1\n"
        f"$(complete -p {word} | sed 's/.*-F \\([^ ]*\\).*/\\1/') {word}\n"
        'echo "${COMPREPLY[@]}"'
    )

    assert shell("bash", script) == "completion\n"


@pytest.mark.parametrize("word", ["jobs", "jobledger"])
def test_fish_completes_both_names(word: str, shell: Shell) -> None:
    shown = shell("fish", f"{INIT['fish']}\ncomplete -C '{word} compl'")

    assert [line.split("\t")[0] for line in shown.splitlines()] == ["completion"]


def test_zsh_registers_both_names(shell: Shell) -> None:
    shown = shell("zsh", f"{INIT['zsh']}\necho $_comps[jobs] $_comps[jobledger]")

    assert shown == "_jobledger_completion _jobledger_completion\n"


@SHELLS
def test_completion_alone_can_be_loaded(name: str, shell: Shell) -> None:
    source = {"fish": "jobledger completion fish | source"}.get(name, f'eval "$(jobledger completion {name})"')

    assert shell(name, f"{source}\necho loaded") == "loaded\n"


def test_an_interactive_bash_with_it_in_its_start_file(home: Path, on_shell_terminal) -> None:
    (home / ".bashrc").write_text(f"PS1='> '\n{INIT['bash']}\n")

    shown = on_shell_terminal(
        ["bash", "-i"],
        home,
        "jobs --version\nsleep 30 &\njobs\njobs -l\njobs %1\nkill %1; wait\njobs xyzzy\nexit 0\n",
    )

    assert "jobledger (" in shown or "jobledger 0" in shown
    assert shown.count("Running") >= 3
    assert "error: No such command 'xyzzy'. See: jobs --help" in shown
    assert "hint:" not in shown
