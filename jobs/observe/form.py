"""Form: what a log line looks like, JSON for machines or readable on a terminal, and where lines go.

A supervisor takes this without the rest of the package: what is heavy is imported where it is used, which is on a
terminal, and at the first traceback.
"""

from __future__ import annotations

import json
import logging
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, TextIO

from jobs.clock import SystemClock
from jobs.context import correlation_id, current_run

_clock = SystemClock()
_STANDARD = frozenset(vars(logging.makeLogRecord({})))
"""What every record has. All else in one was given as ``extra``."""


def is_json(log_format: str, stream: TextIO) -> bool:
    """Whether lines to ``stream`` are JSON; ``log_format`` is the setting's word."""
    return log_format == "json" or (log_format == "auto" and not stream.isatty())


def direct_logging(*, log_level: str, log_format: str, stream: TextIO) -> logging.StreamHandler[TextIO]:
    """Send every log line of this process, the application's too, to ``stream`` in one form; what sends them."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonForm() if is_json(log_format, stream) else _readable(colors=stream.isatty()))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(log_level.upper())
    # dramatiq tells of each message and of each exception; we do that, with less.
    logging.getLogger("dramatiq").setLevel(max(logging.WARNING, root.level))
    logging.getLogger("alembic").setLevel(logging.WARNING)
    return handler


class JsonForm(logging.Formatter):
    """A record as one JSON object: ``event``, ``level``, what was given as ``extra``, ``timestamp``; tracebacks too."""

    def format(self, record: logging.LogRecord) -> str:
        fields = _of_structlog(record) or _of_logging(record)
        if "exc_info" in fields:
            from structlog.processors import ExceptionRenderer
            from structlog.tracebacks import ExceptionDictTransformer

            # Local variables hold arguments: no traceback shows them.
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
    """What an application's own structlog hands to ``logging`` by ``wrap_for_formatter``: its fields as they are."""
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
    """What comes from data cannot begin a line of its own, nor steer the terminal."""
    for key, value in fields.items():
        if isinstance(value, str) and not value.isprintable():
            # A traceback keeps its lines, each set back: none looks like a line of the log.
            lines = [f"  {_escaped(part)}" for part in value.split("\n")]
            fields[key] = "\n".join(lines) if key == "exception" else _escaped(value)
    return fields


def _escaped(text: str) -> str:
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
