"""Starts fresh interpreters: zygotes, and workers of an application that cannot be forked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from worker.marks import nameless_file

_BOOT = str(Path(__file__).with_name("boot.py"))


def launch(module: str, *, fds: Sequence[int], **payload: object) -> subprocess.Popen[bytes]:
    """Start ``module.main(payload)`` in an interpreter of its own, with these descriptors open, at these
    numbers.

    Its output is ours. It is in a session of its own, so that Ctrl-C reaches the supervisor alone.
    """
    told = {**payload, "module": module, "path": import_path(), "parent": os.getpid(), "fds": list(fds)}
    note = nameless_note(json.dumps(told))
    try:
        return subprocess.Popen(
            [sys.executable, "-P", _BOOT, module.rpartition(".")[2], str(note)],
            pass_fds=[*fds, note],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    finally:
        os.close(note)


def import_path() -> list[str]:
    """Ours, with the current folder last: an application's ``worker.py`` must not stand before our
    package.
    """
    here = os.getcwd()
    return [folder for folder in sys.path if folder and os.path.abspath(folder) != here] + [here]


def nameless_note(text: str) -> int:
    """A descriptor of a file without a name that holds ``text``, at its start. Unlike a pipe it never
    blocks.
    """
    fd = nameless_file("jobs-note")
    with open(fd, "wb", closefd=False) as file:
        file.write(text.encode())
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
