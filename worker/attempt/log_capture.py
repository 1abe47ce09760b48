"""Log capture: what a job logs through ``logging`` and what it prints, if its job or the settings ask for it.

A record belongs to the attempt whose context it was made in: its thread, its coroutine and their tasks. Threads that
the job starts itself have no such context, and a logger that does not propagate is not seen.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterable
from typing import Any

from jobs.runtime.attempt_log import PRINTED
from jobs.runtime.context import current_run
from jobs.runtime.run import Run

_formatter = logging.Formatter()
_lock = threading.Lock()


def level_of(capture_logs: bool | str | None, setting: str) -> int | None:
    """From which level on the records of a job are captured; None: none, and no prints.

    Args:
        capture_logs: the option of the class. None: ``setting`` decides. True: at the level of ``setting``, or INFO.
        setting: ``off`` or the name of a level.
    """
    if capture_logs is None or capture_logs is True:
        name = setting if setting != "off" else "info" if capture_logs else None
    else:
        name = capture_logs or None
    return logging.getLevelNamesMapping()[name.upper()] if name else None


def capture(run: Run, level: int) -> None:
    """Keep what ``run`` logs and prints from now on, in its context. It goes to the process's log as before too."""
    run.own_log(level=level)
    root = logging.getLogger()
    # Looked at each time: an application may set up logging when it likes, which removes handlers.
    if _handler not in root.handlers or root.level > level or not _is_wrapped(sys.stdout):
        with _lock:
            _install(root, level)


def _install(root: logging.Logger, level: int) -> None:
    if root.level > level:
        # The other handlers go on as before, and so do our own loggers.
        for handler in root.handlers:
            if handler.level < root.level:
                handler.setLevel(root.level)
        ours = logging.getLogger("jobs")
        if ours.level == logging.NOTSET:
            ours.setLevel(root.level)
        root.setLevel(level)
    if _handler not in root.handlers:
        root.addHandler(_handler)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not _is_wrapped(stream):
            setattr(sys, name, _Stream(stream, name))


class _Handler(logging.Handler):
    """Gives a record to the log of the attempt that made it."""

    def handle(self, record: logging.LogRecord) -> bool:
        # Without the handler's lock: the log has its own.
        run = current_run.get()
        if run is None or (log := run.lines) is None or (level := log.level) is None or record.levelno < level:
            return True
        if type(record.msg) is str and not record.exc_info and not record.stack_info:
            log.add_formatted(record.levelname, record.name, record.msg, record.args)
            return True
        try:
            text = _text_of(record)
        except Exception:
            text = "(a line that cannot be formatted)"
        log.add(record.levelname, record.name, text)
        return True


def _text_of(record: logging.LogRecord) -> str:
    message: Any = record.msg
    # structlog passes its fields through ``logging`` as a dictionary.
    text = record.getMessage() if not isinstance(message, dict) else " ".join(f"{k}={v}" for k, v in message.items())
    if record.exc_info:
        # Not kept on the record: another handler may format tracebacks in another way.
        text = f"{text}\n{record.exc_text or _formatter.formatException(record.exc_info)}"
    if record.stack_info:
        text = f"{text}\n{record.stack_info}"
    return text


class _Stream:
    """Passes everything on to a stream, and gives what a captured job writes to its log."""

    def __init__(self, stream: Any, name: str) -> None:
        self._stream = stream
        self._name = name

    def write(self, text: str) -> Any:
        written = self._stream.write(text)
        run = current_run.get()
        log = run.lines if run is not None else None
        if (
            log is not None
            and log.level is not None
            and log.level <= PRINTED
            and isinstance(text, str)
            # Lines of a handler of ``logging`` that writes here are kept already.
            and sys._getframe(1).f_globals.get("__name__") != "logging"
        ):
            log.printed(self._name, text)
        return written

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __iter__(self) -> Any:
        return iter(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _is_wrapped(stream: Any) -> bool:
    return isinstance(stream, _Stream) or stream is None


_handler = _Handler()
