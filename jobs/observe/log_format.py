"""Formats log lines (JSON or readable on a terminal), and sends them to a stream.

A supervisor imports this without the rest of the package: expensive modules are imported at first use, which is on a
terminal, and at the first traceback.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, TextIO

from jobs.clock import SystemClock
from jobs.observe.line_writer import LineWriter
from jobs.runtime.context import correlation_id, current_run

_clock = SystemClock()
DROPPED = "Log lines were dropped: they were read more slowly than they came"
FLUSH_SECONDS = 1.0
"""How long a process that ends waits until its log lines are written. Source: decision."""
_STANDARD = frozenset(vars(logging.makeLogRecord({})))
"""Fields of every record. All other fields were given as ``extra``."""


def is_json(log_format: str, stream: TextIO) -> bool:
    """Whether lines to ``stream`` are JSON; ``log_format`` is the value of the setting."""
    return log_format == "json" or (log_format == "auto" and not stream.isatty())


class LineHandler(logging.StreamHandler[TextIO]):
    """Sends lines to a stream, by a thread of its own if the stream has a descriptor."""

    def __init__(self, stream: TextIO, *, threaded: bool) -> None:
        super().__init__(stream)
        fd = _descriptor(stream)
        self._writer = None if fd is None else LineWriter(fd, self._dropped_line, threaded=threaded)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._put(self.format(record) + self.terminator)
        except RecursionError:
            raise
        except Exception:
            self.handleError(record)

    def put(self, lines: str) -> None:
        """Send whole lines, like ``emit``."""
        self.acquire()
        try:
            self._put(lines)
        except Exception:
            self.handleError(logging.makeLogRecord({"msg": "attempt lines", "name": "jobs.attempt"}))
        finally:
            self.release()

    def flush(self) -> None:
        """Write the waiting lines; waits for a stalled reader at most as long as a process may take to end."""
        if self._writer is not None:
            self._writer.flush(FLUSH_SECONDS)
        else:
            super().flush()

    def _put(self, lines: str) -> None:
        if self._writer is not None:
            self._writer.put(lines)
        else:
            self.stream.write(lines)
            super().flush()

    def _dropped_line(self, dropped: int) -> str:
        said = {"msg": DROPPED, "name": "jobs.log", "levelno": logging.WARNING, "levelname": "WARNING"}
        return self.format(logging.makeLogRecord({**said, "lines": dropped})) + self.terminator


def direct_logging(*, log_level: str, log_format: str, stream: TextIO | None, threaded: bool = True) -> LineHandler:
    """Send every log line of this process, the application's too, to ``stream`` in one format; returns the handler.

    Args:
        stream: None: it is closed, and lines are discarded.
        threaded: False for a process that will fork, and must have one thread.
    """
    if stream is None:
        stream = open(os.devnull, "w")  # noqa: SIM115
    handler = LineHandler(stream, threaded=threaded)
    handler.setFormatter(JsonForm() if is_json(log_format, stream) else _readable(colors=stream.isatty()))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(log_level.upper())
    # dramatiq logs each message and each exception; our own lines replace these.
    logging.getLogger("dramatiq").setLevel(max(logging.WARNING, root.level))
    logging.getLogger("alembic").setLevel(logging.WARNING)
    return handler


def _descriptor(stream: TextIO) -> int | None:
    try:
        stream.flush()
        return stream.fileno()
    except (OSError, ValueError, AttributeError):
        return None  # It has no descriptor, like a StringIO, or it is closed.


class JsonForm(logging.Formatter):
    """A record as one JSON object: ``event``, ``level``, the ``extra`` fields, ``timestamp``; tracebacks too."""

    def format(self, record: logging.LogRecord) -> str:
        fields = _of_structlog(record) or _of_logging(record)
        if "exc_info" in fields:
            from structlog.processors import ExceptionRenderer
            from structlog.tracebacks import ExceptionDictTransformer

            # Local variables hold arguments, so no traceback shows them.
            ExceptionRenderer(ExceptionDictTransformer(show_locals=False))(None, "", fields)
        return json.dumps(fields, default=str)


def moment(when: datetime) -> str:
    """UTC, ending in Z."""
    return when.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def _of_logging(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = {"event": record.getMessage()}
    if record.exc_info:
        fields["exc_info"] = record.exc_info
    if record.stack_info:
        fields["stack_info"] = record.stack_info
    fields["level"] = record.levelname.lower()
    fields.update((name, value) for name, value in vars(record).items() if name not in _STANDARD)
    fields["timestamp"] = moment(_clock.now())
    _add_context(None, "", fields)
    return fields


def _of_structlog(record: logging.LogRecord) -> dict[str, Any] | None:
    """Fields that an application's own structlog passes to ``logging`` by ``wrap_for_formatter``: unchanged."""
    return dict(record.msg) if isinstance(record.msg, dict) and hasattr(record, "_logger") else None


def _readable(*, colors: bool) -> logging.Formatter:
    import structlog

    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _add_context,
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _one_line,
            structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=0),
        ],
    )


def _add_context(logger: Any, name: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    run = current_run.get()
    if run is not None:
        fields.setdefault("run_id", str(run.id))
        fields.setdefault("kind", run.kind)
    value = correlation_id.get()
    if value is not None:
        fields.setdefault("correlation_id", value)
    return fields


def _one_line(logger: Any, name: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Data cannot begin a line of its own, or control the terminal."""
    for key, value in fields.items():
        if isinstance(value, str) and not value.isprintable():
            # A traceback keeps its lines, each indented, so that none looks like a log line.
            lines = [f"  {_escaped(part)}" for part in value.split("\n")]
            fields[key] = "\n".join(lines) if key == "exception" else _escaped(value)
    return fields


def _escaped(text: str) -> str:
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
