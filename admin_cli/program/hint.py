"""A hint at first use: `jobs` is a word of the shell itself until ``shell-init`` has run."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from admin_cli.program.names import SHELL_INIT_VARIABLE
from admin_cli.terminal import streams

LINES = {
    "bash": 'add  eval "$(jobledger shell-init bash)"  to ~/.bashrc',
    "zsh": 'add  eval "$(jobledger shell-init zsh)"  to ~/.zshrc',
    "fish": "add  jobledger shell-init fish | source  to ~/.config/fish/config.fish",
}
"""How to load the function, by shell. The help of ``shell-init`` has the same lines."""

SILENT = frozenset({"shell-init", "completion"})
"""Commands that print no hint, because they are what it suggests."""


def hint_once(args: list[str]) -> None:
    """Print how to set up ``jobs WORD``, on a terminal, once for each user; never fails.

    Prints nothing if the home directory is not writable, because it could not remember that it did.
    """
    environment = os.environ
    shell = Path(environment.get("SHELL", "")).name
    if shell not in LINES or environment.get(SHELL_INIT_VARIABLE) or SILENT.intersection(args):
        return
    if not (streams.is_terminal(sys.stdin) and streams.is_terminal(sys.stderr)):
        return
    if _is_first(_marker(environment)):
        streams.write_message(f"hint: to type `jobs list` for `jobledger list`, {LINES[shell]}  (shown once)")


def _marker(environment: Mapping[str, str]) -> Path:
    state = environment.get("XDG_STATE_HOME", "")
    # The XDG specification: a relative path is invalid and ignored.
    folder = Path(state) if state.startswith("/") else Path(environment.get("HOME", "/")) / ".local/state"
    return folder / "jobledger" / "shell-init-hint"


def _is_first(marker: Path) -> bool:
    try:
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch(exist_ok=False)
    except OSError:
        return False
    return True
