"""The name that the user typed to start the program, for usage lines and error hints."""

from __future__ import annotations

import os

PROGRAM = "jobledger"
NAME_VARIABLE = "JOBLEDGER_NAME"
"""Set by the shell function of ``shell-init``: the name by which the user called it (``jobs``)."""

SHELL_INIT_VARIABLE = "JOBLEDGER_SHELL_INIT"
"""Exported by ``shell-init``: the shell whose function is loaded."""

COMPLETE_VARIABLE = "_JOBLEDGER_COMPLETE"
"""The variable in which click's completion scripts ask for completion; the same for both program names."""


def program_name() -> str:
    """``jobs`` when the shell function called us, else ``jobledger``: always a name that works when pasted.

    Not ``argv[0]``: after ``env jobs``, a pasted ``jobs list`` would run the shell's builtin.
    """
    return "jobs" if os.environ.get(NAME_VARIABLE) == "jobs" else PROGRAM


def command_line(words: str) -> str:
    """``words`` as a line to paste: ``command_line("migrate up")`` is ``jobledger migrate up``."""
    return f"{program_name()} {words}"
