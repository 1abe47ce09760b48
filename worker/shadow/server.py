"""A fresh interpreter that imports the application once, and forks a child for each shadow run.

It reads orders from its standard input, one line of JSON each, and answers on a pipe of its own. It has one thread and
no connection, so that it may fork.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import traceback
from typing import Any, NoReturn

from jobs.clock import SystemClock
from jobs.definition import registry
from jobs.errors import JobsError
from worker.attempt.limits import limits_of
from worker.shadow.child import perform_shadow, silence
from worker.startup.imports import import_application
from worker.startup.process_start import die_with_parent

NO_LIMIT_SECONDS = 600.0
"""Longest shadow run of a job without a time limit. Source: the default time limit of a job."""
MAX_ANSWER = 64 * 2**20


def main(answers: int, parent: int) -> NoReturn:
    """Serve until standard input ends; ``answers`` is the file descriptor of the pipe."""
    die_with_parent(parent)
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    orders = sys.stdin
    begin = json.loads(orders.readline())
    try:
        import_application(begin["imports"])
    except JobsError as error:
        _answer(answers, {"failed": error.message})
        os._exit(1)
    _answer(answers, {"ready": True})
    while line := orders.readline():
        _answer(answers, _perform_apart(json.loads(line)))
    os._exit(0)


def _answer(pipe: int, said: dict[str, Any]) -> None:
    with os.fdopen(os.dup(pipe), "wb") as file:
        file.write(json.dumps(said).encode() + b"\n")


def _perform_apart(order: dict[str, Any]) -> dict[str, Any]:
    """Perform it in a forked child of its own process group, which is killed at the hard time limit."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        _be_child(order, read, write)
    os.close(write)
    limit = _limit_seconds(order)
    content, is_late = _read_all(read, limit)
    os.close(read)
    _kill(child)
    _, status = os.waitpid(child, 0)
    if is_late:
        return {"lost": f"it was still running after {limit:g} s"}
    if not content:
        return {"lost": _death(status)}
    answer: dict[str, Any] = json.loads(content)
    return answer


def _be_child(order: dict[str, Any], read: int, write: int) -> NoReturn:
    os.close(read)
    os.setpgid(0, 0)
    silence()
    try:
        answer = perform_shadow(order)
    except BaseException:
        answer = {"broken": traceback.format_exc(limit=-5)}
    with os.fdopen(write, "wb") as file:
        file.write(json.dumps(answer, default=str).encode())
    os._exit(0)


def _limit_seconds(order: dict[str, Any]) -> float:
    from jobs.settings import Settings

    if registry.find(order["kind"]) is None:
        return NO_LIMIT_SECONDS
    return limits_of(order["kind"], Settings.of(**order["settings"])).hard or NO_LIMIT_SECONDS


def _read_all(pipe: int, seconds: float) -> tuple[bytes, bool]:
    """All that the child writes until it closes its end, and whether the time was over first."""
    clock = SystemClock()
    until = clock.monotonic() + seconds
    content = bytearray()
    while len(content) < MAX_ANSWER:
        left = until - clock.monotonic()
        if left <= 0 or not select.select([pipe], [], [], left)[0]:
            return b"", True
        block = os.read(pipe, 65536)
        if not block:
            break
        content += block
    return bytes(content), False


def _kill(child: int) -> None:
    """End the child, and what it may have started."""
    try:
        os.killpg(child, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _death(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"its process died of {signal.Signals(-code).name}" if code < 0 else f"its process exited with {code}"
