"""The tour of docs/operating.md, run word for word on a terminal of 80 columns."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests import fork_server
from tests.admin_cli import conftest as terminals

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

ROOT = Path(__file__).parents[2]
TOUR = ROOT / "docs" / "operating.md"
MARK = "@@next@@"
HAS_STARTED = "\nn=0; until grep -q pages: worker.log || [ $n -eq 900 ]; do sleep 0.1; n=$((n+1)); done"
"""Waits until `dev` has signed its pages in. Otherwise the audit has that before or after the first replay."""


def steps() -> list[tuple[str, str]]:
    """Each command of the tour, and what it should print."""
    found: list[tuple[str, str]] = []
    for block in re.findall(r"```console\n(.*?)```", TOUR.read_text(), re.S):
        for part in block.split("$ ")[1:] if block.startswith("$ ") else ():
            command, _, output = part.partition("\n")
            if found and not command:
                continue
            found.append((command, output))
    return found


def unsafe(text: str) -> str:
    """What the terminal shows: without the sequences that make it bold or dim, which take no room."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text.replace("\r\n", "\n"))


def plain(text: str) -> str:
    """What may differ between two runs of the tour made the same: ids, moments, ages, and so the columns' widths."""
    text = unsafe(text)
    # On an idle machine less than a second passes between two commands: (now).
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \((\S+ ago|now)\)", "MOMENT", text)
    text = re.sub(r"\b(\d+[smh])+( ago)?\b|\bnow\b", "AGE", text)
    ids: dict[str, str] = {}
    text = re.sub(r"\b[0-9a-f]{12}\b", "GROUP", text)
    text = re.sub(r"\b(?=\S*\d)[0-9a-f]{8}\b", lambda one: ids.setdefault(one[0], f"ID{len(ids)}"), text)
    # A column that gives way to a longer age is cut elsewhere.
    text = re.sub(r"ValueError: card[^\n]*…", "ERROR…", text)
    return re.sub(r"[ \t]+", " ", text).strip()


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_commands_of_the_tour_print_what_the_page_shows(
    shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through ``sh -c``; and in an interactive bash with ``shell-init``, where the program is called ``jobs``."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    name = "jobs" if shell == "bash" else "jobledger"
    tour = [(called(command, name), called(output, name)) for command, output in steps()]
    (source,) = re.findall(r"```python\n(.*?)```", TOUR.read_text(), re.S)
    (tmp_path / "charges.py").write_text(source)
    program = tmp_path / "bin" / "jobledger"
    program.parent.mkdir()
    # The worker is the real program; the other commands are forks of a process that has imported them.
    program.write_text(
        f'#!/bin/sh\n[ "$1" = worker ] && exec {sys.executable} -m admin_cli.main "$@"\n'
        f'exec {shlex.join(fork_server.jobledger())} "$@"\n'
    )
    program.chmod(0o755)
    (tmp_path / ".bashrc").write_text('eval "$(jobledger shell-init bash)"\n')
    monkeypatch.setattr(terminals, "LIMIT", 240.0)
    script = "\n".join(f"echo '{MARK}'\n{command}{HAS_STARTED if command.endswith('&') else ''}" for command, _ in tour)
    script = f"cd {tmp_path}\n{script}\necho '{MARK}'\nkill %1 2>/dev/null || kill $!\nwait\n"
    env = terminals.environment(
        tmp_path,
        {"PATH": f"{program.parent}:{os.environ['PATH']}", "JOBS_ACTOR": "ada@desk", "NO_COLOR": "1"},
    )

    flags = ["-i", "-c"] if shell == "bash" else ["-c"]
    ended = terminals.run_on_terminal([shell, *flags, script], env=env, columns=80)

    printed = ended.out.replace("\r\n", "\n").split(MARK + "\n")[1:]
    # An interactive shell says which job it put in the background.
    said = [plain(re.sub(r"^\[1\] \d+\n", "", part)) for part in printed[: len(tour)]]
    wanted = [plain(output) for _, output in tour]
    for (command, _), got, want in zip(tour, said, wanted, strict=True):
        assert got == want, command
    shown = [line for part in printed for line in unsafe(part).splitlines()]
    assert max(map(cell_len, shown)) <= 80


def called(text: str, name: str) -> str:
    return re.sub(r"\bjobledger\b", name, text)
