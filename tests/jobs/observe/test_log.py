"""Log lines: whole, one an attempt, without arguments, and not to be forged."""

from __future__ import annotations

import io
import json
import logging
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

import jobs
from jobs.definition import registry
from jobs.events import AttemptEnded, AttemptStarted, Events, ServiceFailed
from jobs.observe import log
from jobs.observe.json_lines import line, success_line
from jobs.observe.log_format import moment
from jobs.observe.outages import Outages
from jobs.settings import Settings
from jobs.states import Cause, Outcome, RunState

HOSTILE = 'x\r\n{"event": "Run succeeded", "forged": true}\x1b[2J\u202e\u2028\x07'


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    before, level, lines = list(root.handlers), root.level, log._json
    yield
    root.handlers[:], log._json = before, lines
    root.setLevel(level)


def _listen(**settings: Any) -> tuple[Events, io.StringIO]:
    stream = io.StringIO()
    log.configure_logging(Settings(**settings), stream=stream)
    events = Events()
    log.subscribe(events)
    return events, stream


def _lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(one) for one in stream.getvalue().splitlines()]


def _ended(**more: Any) -> AttemptEnded:
    given: dict[str, Any] = {
        "run_id": uuid4(),
        "kind": "SendInvoice",
        "queue": "mail",
        "attempt": 1,
        "outcome": Outcome.SUCCEEDED,
        "state": RunState.SUCCEEDED,
        "cause": None,
        "started_at": datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
        "elapsed_seconds": 0.0123,
        "waited_seconds": 0.1,
        "correlation_id": "request-1",
    }
    return AttemptEnded(**{**given, **more})


def test_an_attempt_is_one_line_with_its_run_outcome_and_time() -> None:
    events, stream = _listen(log_format="json")
    one = _ended()

    events.emit([one])

    (said,) = _lines(stream)
    assert said["event"] == "Run succeeded"
    assert said["level"] == "info"
    assert (said["run_id"], said["kind"], said["queue"], said["attempt"]) == (str(one.run_id), "SendInvoice", "mail", 1)
    assert (said["outcome"], said["duration_ms"], said["correlation_id"]) == ("succeeded", 12.3, "request-1")


def test_the_fast_line_of_a_success_equals_the_general_one() -> None:
    one = _ended(kind='A"b', correlation_id=HOSTILE)
    now = moment(datetime.now(UTC))
    (level, event, fields), *_ = log._entries(one)

    assert json.loads(success_line(one, now=now)) == json.loads(line(level, event, fields, now=now))


@pytest.mark.parametrize(
    ("state", "cause", "level"),
    [(RunState.QUEUED, None, "warning"), (RunState.DEAD, Cause.EXHAUSTED, "error")],
)
def test_retries_and_deaths_are_marked(state: RunState, cause: Cause | None, level: str) -> None:
    events, stream = _listen(log_format="json")

    events.emit([_ended(outcome=Outcome.FAILED, state=state, cause=cause, error_type="OSError", error_message="no")])

    (said,) = _lines(stream)
    assert (said["level"], said["state"], said["error_type"]) == (level, state.value, "OSError")


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_text_from_data_cannot_forge_a_line_or_control_a_terminal(log_format: str) -> None:
    events, stream = _listen(log_format=log_format)

    events.emit([_ended(kind=HOSTILE, queue=HOSTILE, correlation_id=HOSTILE)])
    events.emit([_ended(outcome=Outcome.FAILED, state=RunState.DEAD, error_type=HOSTILE, error_message=HOSTILE)])
    logging.getLogger("shop").info("%s", HOSTILE, extra={"note": HOSTILE})

    text = stream.getvalue()
    assert text.count("\n") == 3 == len(text.splitlines())
    assert all(one.isprintable() for one in text.replace("\n", ""))


def test_a_traceback_on_a_terminal_is_set_back_and_harmless() -> None:
    _, stream = _listen(log_format="console")

    try:
        raise ValueError(HOSTILE)
    except ValueError:
        logging.getLogger("shop").exception("failed")

    first, *rest = stream.getvalue().splitlines()
    assert "failed" in first
    assert len(rest) > 2
    assert all(one.startswith("  ") or not one for one in rest)
    assert "\x1b" not in stream.getvalue()
    assert "\r" not in stream.getvalue()


def test_a_traceback_shows_no_local_variables() -> None:
    _, stream = _listen(log_format="json")
    password = "canary-" + uuid4().hex

    try:
        raise ValueError(len(password))
    except ValueError:
        logging.getLogger("shop").exception("failed")

    assert password not in stream.getvalue()
    assert "exception" in _lines(stream)[0]


def test_a_level_above_info_hides_successes_and_shows_failures() -> None:
    events, stream = _listen(log_format="json", log_level="warning")

    events.emit([_ended(), _ended(outcome=Outcome.FAILED, state=RunState.QUEUED, error_type="OSError")])

    assert [said["state"] for said in _lines(stream)] == ["queued"]


def test_an_attempt_that_took_most_of_its_limit_is_warned_of() -> None:
    class Slow(jobs.Job, timeout=timedelta(seconds=10)):
        def perform(self) -> None: ...

    try:
        events, stream = _listen(log_format="json")

        events.emit([_ended(kind="Slow", elapsed_seconds=7.9), _ended(kind="Slow", elapsed_seconds=8.1)])

        said = [one for one in _lines(stream) if one["event"] == "Attempt took most of its time limit"]
        assert [(one["level"], one["limit_ms"], one["duration_ms"]) for one in said] == [("warning", 10000.0, 8100.0)]
    finally:
        registry.forget("Slow")


def test_lines_go_out_in_pieces_that_one_write_to_a_pipe_keeps_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    writes: list[bytes] = []
    all_emitted = threading.Event()

    def write(fd: int, data: bytes) -> int:
        assert all_emitted.wait(60)
        writes.append(bytes(data))
        return len(data)

    with os.fdopen(writing, "w") as stream, os.fdopen(reading):
        log.configure_logging(Settings(log_format="json"), stream=stream)
        events = Events()
        log.subscribe(events)
        monkeypatch.setattr(os, "write", write)

        events.emit([_ended() for _ in range(200)])
        all_emitted.set()
        logging.getLogger().handlers[0].flush()

    assert sum(piece.count(b"\n") for piece in writes) == 200
    assert len(writes) < 40
    assert all(len(piece) <= 4096 and piece.endswith(b"\n") for piece in writes)


def test_another_logging_handler_receives_attempts_too() -> None:
    events, stream = _listen(log_format="json")
    heard: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = heard.append  # type: ignore[method-assign]
    logging.getLogger("jobs.attempt").addHandler(handler)
    try:
        events.emit([_ended()])
    finally:
        logging.getLogger("jobs.attempt").removeHandler(handler)

    assert [record.getMessage() for record in heard] == ["Run succeeded"]
    assert len(_lines(stream)) == 1


def test_a_start_and_a_run_that_goes_on_are_told_apart() -> None:
    events, stream = _listen(log_format="json")

    events.emit([AttemptStarted(uuid4(), "SendInvoice", "mail", 1, None)])
    events.emit([AttemptStarted(uuid4(), "SendInvoice", "mail", 1, "request-1", 6.0)])

    assert [said["event"] for said in _lines(stream)] == ["Attempt started", "Attempt still running"]
    assert _lines(stream)[1]["going_seconds"] == 6.0


def test_an_outage_is_a_line_at_once_and_then_one_in_ten_seconds_that_counts() -> None:
    clock = SimpleNamespace(monotonic=lambda: clock.at, at=100.0)
    _, stream = _listen(log_format="json")
    outages = Outages(clock)  # type: ignore[arg-type]
    for second in range(25):
        clock.at = 100.0 + second
        outages.log([ServiceFailed("ready", "add", "It is down.")] * 100)
    outages.log([ServiceFailed("ledger", "claim", "It is down.")])

    lines = [(one["operation"], one.get("repeats", 0)) for one in _lines(stream)]

    assert lines == [("add", 0), ("add", 999), ("add", 999), ("claim", 0)]
