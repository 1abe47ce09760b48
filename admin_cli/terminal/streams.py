"""Standard input, output and error: their type, their width, and errors when they close.

Data goes to stdout, messages to stderr.
"""

from __future__ import annotations

import os
import shutil
import sys
from typing import TextIO

DEFAULT_WIDTH = 80


class OutputLost(Exception):
    """Standard output cannot be written (closed, disk full): the command fails."""


def hold_standard_streams() -> None:
    """Open the descriptors 0, 1 and 2 if they are closed, and make encoding errors impossible.

    Otherwise the next file opened would get a closed one's number, and a print would write into the ledger. Child
    programs inherit them.
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
    """Write data to stdout unchanged.

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


def write_message(text: str) -> None:
    """Write one line to stderr; ignores a stderr that is closed."""
    try:
        print(text, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        pass


def flush() -> None:
    """Flush stdout. Raises like ``write``."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputLost(error.strerror or str(error)) from error


def flush_both() -> None:
    """Flush stdout and stderr before a fork or an exit; ignores a closed stream."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            pass


def abandon_stdout() -> None:
    """Point stdout at the null device, so that the interpreter's last flush does not fail."""
    if sys.stdout is None:
        return
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        pass


def is_terminal(stream: TextIO | None) -> bool:
    """Whether the stream is a terminal."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False


def table_width() -> int | None:
    """The width of a table in cells; None (no limit) if neither a terminal nor ``COLUMNS`` sets one."""
    if is_terminal(sys.stdout):
        return shutil.get_terminal_size((DEFAULT_WIDTH, 24)).columns or DEFAULT_WIDTH
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isdecimal() and int(columns) else None
