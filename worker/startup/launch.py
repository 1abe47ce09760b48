"""Starts fresh interpreters: zygotes, workers of applications that cannot be forked, and the supervisor."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from worker.protocol.running_table import unnamed_file

_BOOT = str(Path(__file__).with_name("boot.py"))
HELD_BACK = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
"""Signals that are blocked while a process turns into another interpreter, which they would kill."""


def launch(module: str, *, fds: Sequence[int], **payload: object) -> subprocess.Popen[bytes]:
    """Start ``module.main(payload)`` in an interpreter of its own, which inherits these descriptors with the same
    numbers.

    It writes to our output. It has a session of its own, so that Ctrl-C reaches the supervisor alone.
    """
    payload_file = _payload_file(module, fds, payload)
    try:
        return subprocess.Popen(
            _command(module, payload_file),
            pass_fds=[*fds, payload_file],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    finally:
        os.close(payload_file)


def become(module: str, *, title: Sequence[str], **payload: object) -> NoReturn:
    """Turn this process into ``module.main(payload)``, in a fresh interpreter: same id, parent and streams.

    Args:
        title: the command line that ``ps`` and ``pgrep -f`` show.

    Stop signals that arrive meanwhile stay blocked until ``Signals`` unblocks them.
    Flush the streams before the call. ``with`` and ``finally`` blocks around the call do not run their exits.
    """
    payload_file = _payload_file(module, [], payload)
    os.set_inheritable(payload_file, True)
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
    command = [*_command(module, payload_file), *title]
    os.execv(command[0], command)  # noqa: S606


def _payload_file(module: str, fds: Sequence[int], payload: Mapping[str, object]) -> int:
    told = {**payload, "module": module, "path": import_path(), "parent": os.getpid(), "fds": list(fds)}
    return unnamed_payload_file(json.dumps(told))


def _command(module: str, payload_file: int) -> list[str]:
    return [sys.executable, "-P", _BOOT, module.rpartition(".")[2], str(payload_file)]


def import_path() -> list[str]:
    """Our import path with the current folder last, so that an application's ``worker.py`` cannot shadow our ours."""
    here = os.getcwd()
    return [folder for folder in sys.path if folder and os.path.abspath(folder) != here] + [here]


def unnamed_payload_file(text: str) -> int:
    """The descriptor of a file without a name that holds ``text``, positioned at its start. Unlike a pipe it never
    blocks.
    """
    fd = unnamed_file("jobs-payload")
    with open(fd, "wb", closefd=False) as file:
        file.write(text.encode())
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
