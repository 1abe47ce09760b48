"""The form of log lines, and what it costs to have it."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import structlog

from jobs.observe.log_format import direct_logging
from jobs.runtime.context import correlate


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)


@pytest.fixture
def stream() -> io.StringIO:
    stream = io.StringIO()
    direct_logging(log_level="info", log_format="json", stream=stream)
    return stream


def _said(stream: io.StringIO) -> dict[str, Any]:
    (line,) = stream.getvalue().splitlines()
    said: dict[str, Any] = json.loads(line)
    return said


def test_a_record_is_its_message_its_level_its_extras_and_the_time(stream: io.StringIO) -> None:
    number = uuid4()

    logging.getLogger("shop").warning("sold %d", 3, extra={"order": number, "big": True})

    said = _said(stream)
    assert said.pop("timestamp").endswith("Z")
    assert said == {"event": "sold 3", "level": "warning", "order": str(number), "big": True}


def test_context_fields_are_added_unless_the_record_has_them(stream: io.StringIO) -> None:
    with correlate("request-1"):
        logging.getLogger("shop").info("sold")

    assert _said(stream)["correlation_id"] == "request-1"


def test_a_traceback_is_data_with_its_cause(stream: io.StringIO) -> None:
    try:
        try:
            raise KeyError("a")
        except KeyError as error:
            raise ValueError("b") from error
    except ValueError:
        logging.getLogger("shop").exception("failed")

    said = _said(stream)
    assert [one["exc_type"] for one in said["exception"]] == ["ValueError", "KeyError"]
    assert "exc_info" not in said


def test_a_record_without_an_exception_has_no_traceback(stream: io.StringIO) -> None:
    logging.getLogger("shop").exception("failed")

    assert "exception" not in _said(stream)


def test_an_application_that_uses_structlog_keeps_its_fields(stream: io.StringIO) -> None:
    log = structlog.wrap_logger(
        logging.getLogger("shop"),
        wrapper_class=structlog.stdlib.BoundLogger,
        processors=[structlog.stdlib.add_log_level, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
    )

    log.info("sold", order=7)

    assert _said(stream) == {"event": "sold", "level": "info", "order": 7}


def test_json_lines_cost_a_process_neither_structlog_nor_what_it_imports() -> None:
    code = (
        "import sys, logging; from jobs.observe.log_format import direct_logging\n"
        "direct_logging(log_level='info', log_format='json', stream=sys.stderr); logging.error('hello')\n"
        "print(sorted({'structlog', 'rich', 'pydantic', 'sqlalchemy', 'asyncio'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
