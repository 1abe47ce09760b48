"""Standard input, output and error: what they are connected to, and what happens when they close.

Data goes to stdout, words to stderr.
"""

from __future__ import annotations

import os
import shutil
import sys
from typing import TextIO

DEFAULT_WIDTH = 80


class OutputLost(Exception):
    """Standard output cannot take what we have to say (closed, disk full): the command has failed."""


def hold_standard_streams() -> None:
    """Make 0, 1 and 2 open descriptors, and their text never fail to encode.

    A closed one would be handed to the next file opened, and a print would then land in the ledger. Programs that we
    start get them too.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def write(text: str) -> None:
    """Data to stdout, as it is.

    Raises:
        OutputLost: stdout is closed or full.
        BrokenPipeError: its reader has gone; ``main`` ends quietly.
    """
    if sys.stdout is None:
        raise OutputLost("standard output is closed")
    try:
        sys.stdout.write(text)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputLost(error.strerror or str(error)) from error


def say(text: str) -> None:
    """One line of words to stderr; lost in silence when stderr is."""
    try:
        print(text, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        pass


def flush() -> None:
    """Write out what stdout holds back. Raises as ``write`` does."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputLost(error.strerror or str(error)) from error


def flush_both() -> None:
    """Write out what stdout and stderr hold back, before a fork or an end; one that is closed or lost is passed by."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            pass


def abandon_stdout() -> None:
    """Point stdout at nothing, so that the interpreter's last flush does not complain."""
    if sys.stdout is None:
        return
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        pass


def is_terminal(stream: TextIO | None) -> bool:
    """Is a person at the other end?"""
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False


def table_width() -> int | None:
    """Columns that a table may take; None is no limit: neither a terminal nor ``COLUMNS`` says one."""
    if is_terminal(sys.stdout):
        return shutil.get_terminal_size((DEFAULT_WIDTH, 24)).columns or DEFAULT_WIDTH
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isdecimal() and int(columns) else None
