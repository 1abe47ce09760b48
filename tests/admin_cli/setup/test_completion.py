"""Completion as an interactive bash asks for it: commands, kinds, queues, short ids and workers."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs import boot
from jobs.app import App
from tests.admin_cli.conftest import Program, environment, run_on_terminal
from tests.conftest import MakeApp
from tests.fork_server import jobledger

ASKED = {
    "jobledger que": "jobledger queues",
    "jobledger queues pa": "jobledger queues pause",
    "jobledger queues show pay": "jobledger queues show payments",
    "jobledger show c91": "jobledger show c9165be1",
    "jobledger kinds show Charge": "jobledger kinds show ChargeCard",
    "jobledger list -k Send": "jobledger list -k SendInvoice",
    "jobledger list --state suc": "jobledger list --state succeeded",
    "jobledger workers show de": "jobledger workers show desk/4711/0.1-c0ffee00",
    "jobs list -q pay": "jobs list -q payments",
}
"""What is typed before the tabulator, and what then stands there."""


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash on this system")
def test_the_tab_key_in_an_interactive_bash_completes(
    in_shop: Callable[[App], Program],
    make_app: MakeApp,
    sqlite_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = make_app(sqlite_url)
    monkeypatch.setattr(boot, "_app", app)
    in_shop(app)
    program = tmp_path / "bin" / "jobledger"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.join(jobledger())} "$@"\n')
    program.chmod(0o755)
    (tmp_path / ".bashrc").write_text(
        'PS1="> "\neval "$(jobledger shell-init bash)"\nbind "set enable-bracketed-paste off"\necho loaded\n'
    )
    env = environment(tmp_path, {"PATH": f"{program.parent}:/usr/bin:/bin", "JOBS_DATABASE_URL": sqlite_url})
    # `echo` runs nothing of ours: it shows the completed line, which is then discarded.
    typed = "".join(f"{line}\t\x01: '\x05'\n" for line in ASKED) + "exit\n"

    shown = run_on_terminal(["bash", "-i"], env=env, columns=200, typed=typed, after="loaded").out

    for line, whole in ASKED.items():
        assert f"{whole} " in shown or f"{whole}'" in shown, (line, shown)


ZSH = """PS1='> '
fpath+=(/usr/share/zsh/functions/Completion)
autoload -Uz compinit
compinit -u -d $HOME/.zcompdump
eval "$(jobledger shell-init zsh)"
echo load''ed
"""


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_names_from_the_ledger_are_completed_in_other_shells(
    shell: str,
    in_shop: Callable[[App], Program],
    make_app: MakeApp,
    sqlite_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    app = make_app(sqlite_url)
    monkeypatch.setattr(boot, "_app", app)
    in_shop(app)
    program = tmp_path / "bin" / "jobledger"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.join(jobledger())} "$@"\n')
    program.chmod(0o755)
    env = environment(tmp_path, {"PATH": f"{program.parent}:/usr/bin:/bin", "JOBS_DATABASE_URL": sqlite_url})
    asked = {line: whole for line, whole in ASKED.items() if not line.endswith((" de", " que"))}

    if shell == "fish":
        told = "".join(f"complete -C '{line}'\n" for line in asked)
        script = f"jobledger shell-init fish | source\n{told}"
        shown = subprocess.run(
            ["fish", "--no-config", "-c", script], env=env, capture_output=True, text=True, timeout=60
        ).stdout
        words = {line.split("\t")[0] for line in shown.splitlines()}
        assert {whole.split()[-1] for whole in asked.values()} <= words
        return
    (tmp_path / ".zshrc").write_text(ZSH)
    typed = "".join(f"{line}\t\x01: \x05\n" for line in asked) + "exit\n"
    shown = run_on_terminal(["zsh", "-i"], env=env, columns=200, typed=typed, after="loaded").out
    for line, whole in asked.items():
        assert whole in shown, (line, shown)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_for_each_shell_is_one_it_can_read(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = subprocess.run(
        [sys.executable, "-m", "admin_cli.main", "completion", shell], capture_output=True, check=True, timeout=60,
        env=environment(tmp_path),
    ).stdout  # fmt: skip

    (tmp_path / "script").write_bytes(script)
    assert subprocess.run([shell, "-n", str(tmp_path / "script")], timeout=60).returncode == 0
