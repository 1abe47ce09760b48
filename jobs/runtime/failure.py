"""The stored form of an exception: limited in size, storable, and grouped by a stable fingerprint."""

from __future__ import annotations

import os
import traceback
from pathlib import Path
from types import TracebackType

from jobs.formats.fingerprint import fingerprint_of
from jobs.ledger.records import Failure

MAX_MESSAGE, MAX_TRACEBACK, MAX_TYPE = 2_000, 16_384, 200
"""Characters stored. Source: decision; enough to see the cause, and small enough for a million dead letters."""

_OURS = tuple(os.path.join(str(Path(__file__).absolute().parents[2]), part) + os.sep for part in ("jobs", "worker"))


def describe_failure(error: BaseException, *, kind: str) -> Failure:
    """What the ledger stores of ``error``: never local variables; the message is the application's text.

    Raises nothing, although the error's text, notes and class are the application's code and may raise anything.
    """
    try:
        return _describe(error, kind=kind)
    except BaseException:
        return Failure.without_exception(kind, "Unreadable", "(the exception cannot be read)")


def _describe(error: BaseException, *, kind: str) -> Failure:
    try:
        message = str(error)
    except BaseException:
        message = "(its text cannot be read)"
    frames = _frames(error.__traceback__)
    try:
        lines = traceback.format_exception(type(error), error, _from_theirs(error.__traceback__))
    except BaseException:
        lines = traceback.format_tb(_from_theirs(error.__traceback__))
    return Failure(
        type=_name(type(error))[:MAX_TYPE],
        message=storable(message)[:MAX_MESSAGE],
        traceback=_tail(storable("".join(lines)), MAX_TRACEBACK),
        fingerprint=fingerprint(kind, type(error), frames),
    )


def fingerprint(kind: str, error: type[BaseException], frames: list[tuple[str, str]]) -> str:
    """Twelve hexadecimal digits that are the same for the same failure.

    Computed from the kind, the error's class and the application's innermost frame (module file and function). Line
    numbers change and messages contain ids, so neither is part of it.
    """
    place = frames[-1] if frames else ("", "")
    return fingerprint_of(kind, _name(error), *place)


def storable(text: str) -> str:
    """``text`` without characters that databases refuse: NUL and lone surrogates become replacement characters."""
    # Call the methods of ``str`` itself: a subclass may override them with code that does or raises anything.
    return str.encode(str.replace(text, "\0", "\ufffd"), "utf-8", "replace").decode()


def _frames(trace: TracebackType | None) -> list[tuple[str, str]]:
    """The application's frames, outermost first, as (file, function); all frames if none belongs to the application."""
    every: list[tuple[str, str]] = []
    theirs: list[tuple[str, str]] = []
    for frame, _ in traceback.walk_tb(trace):
        path = frame.f_code.co_filename
        one = (os.path.basename(path), frame.f_code.co_qualname)
        every.append(one)
        if not path.startswith(_OURS) and "site-packages" not in path and not path.startswith("<frozen"):
            theirs.append(one)
    return theirs or every


def _from_theirs(trace: TracebackType | None) -> TracebackType | None:
    """The traceback from the application's first frame on, without our own frames."""
    one = trace
    while one is not None and one.tb_frame.f_code.co_filename.startswith(_OURS):
        one = one.tb_next
    return one or trace


def _name(cls: type) -> str:
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def _tail(text: str, longest: int) -> str:
    return text if len(text) <= longest else "…" + text[-longest + 1 :]
