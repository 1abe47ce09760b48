"""Logs of attempts: kept and bounded, captured for their own attempt only, without secrets, gone with the run."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from typing import Any

import pytest
from sqlalchemy import event

import jobs
from jobs import Job, Secret
from jobs.definition.redaction import HIDDEN
from jobs.errors import DefinitionError
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.runs.logs import StoredLog as Shown
from jobs.operations.runs.logs import log_of
from jobs.runtime.attempt_log import MAX_LINE, AttemptLog
from jobs.states import Outcome
from jobs.testing import Ledger
from tests.worker.attempt.logging_jobs import ADA, LogsOddly, log
from tests.worker.attempt.logging_jobs import ledger as ledger
from tests.worker.attempt.logging_jobs import streams as streams


def texts(shown: Shown) -> list[str]:
    return [one.text for one in shown.lines]


class LogsMany(Job):
    def perform(self) -> None:
        for number in range(10_000):
            self.run.log("line %d", number)
        raise jobs.GiveUp("enough")


def test_the_first_and_last_lines_of_an_attempt_are_kept_and_the_others_counted(ledger: Ledger) -> None:
    run = ledger.perform(LogsMany()).run

    shown = log_of(ledger.app, ADA, str(run.id))
    assert (shown.attempt, shown.line_count, shown.left_out, shown.is_open) == (1, 10_000, 9_000, False)
    assert [one.number for one in shown.lines] == [*range(1, 501), *range(9_501, 10_001)]
    assert texts(shown)[0] == "line 0"
    assert texts(shown)[-1] == "line 9999"


def test_a_log_is_bounded_in_bytes_and_a_line_in_characters() -> None:
    kept = AttemptLog(lambda: 0.0, max_bytes=20_000)
    for _ in range(100):
        kept.add("INFO", "run", "é" * 5_000)

    assert [one.number for one in kept.kept_lines()] == [1, 100]
    assert {len(one.text) for one in kept.kept_lines()} == {MAX_LINE + 1}


def test_a_line_that_cannot_be_formatted_or_stored_fails_no_job(ledger: Ledger) -> None:
    performed = ledger.perform(LogsOddly())

    assert performed.outcome is Outcome.SUCCEEDED
    shown = log_of(ledger.app, ADA, str(performed.run.id))
    assert texts(shown)[0] == "'%d of %d' ('one',)"
    assert texts(shown)[1:] == ["(a line that cannot be formatted)", "half ? and \ufffd nul", "7"]
    assert shown.lines[2].level == "ERROR"


class Captured(Job, capture_logs=True):
    async_too: bool = False

    def perform(self) -> None:
        log.info("charging %s", "card")
        log.debug("not at this level")
        print("printed", 7)
        print("without an end", end="", file=sys.stderr)
        logging.StreamHandler(sys.stdout).emit(logging.makeLogRecord({"msg": "twice?", "levelname": "INFO"}))
        asyncio.run(self.inside())
        stranger = threading.Thread(target=log.warning, args=("of another thread",))
        stranger.start()
        stranger.join()
        try:
            raise ValueError("declined")
        except ValueError:
            log.exception("failed")

    async def inside(self) -> None:
        await asyncio.gather(asyncio.create_task(self.step()), asyncio.to_thread(log.info, "in a thread of asyncio"))

    async def step(self) -> None:
        log.warning("in a task")


def test_what_a_job_logs_and_prints_is_kept_once_and_passed_on(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ledger.perform(Captured()).run
    log.error("after the attempt")
    print("after it too")

    shown = log_of(ledger.app, ADA, str(run.id))
    found = {(one.source, one.level, one.text.partition("\n")[0]) for one in shown.lines}
    assert found == {
        ("shop.cards", "INFO", "charging card"),
        ("stdout", "INFO", "printed 7"),
        ("shop.cards", "WARNING", "in a task"),
        ("shop.cards", "INFO", "in a thread of asyncio"),
        ("shop.cards", "ERROR", "failed"),
        ("stderr", "INFO", "without an end"),
    }
    assert "ValueError: declined" in next(one.text for one in shown.lines if one.text.startswith("failed"))
    assert "printed 7\ntwice?\n" in capsys.readouterr().out


class Silent(Job, capture_logs=False):
    def perform(self) -> None:
        log.error("not kept")
        print("nor this")


class AsSet(Job):
    def perform(self) -> None:
        log.info("kept")


def test_the_setting_captures_every_kind_that_does_not_say_otherwise(ledger_url: str) -> None:
    statements: list[str] = []
    with Ledger(ledger_url, capture_logs="INFO") as ledger:
        kept = ledger.perform(AsSet()).run
        silent = ledger.perform(Silent()).run
        assert texts(log_of(ledger.app, ADA, str(kept.id))) == ["kept"]
        assert log_of(ledger.app, ADA, str(silent.id)).attempt is None
    with Ledger(ledger_url) as ledger:
        event.listen(ledger.app.database.engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
        off = ledger.perform(AsSet()).run
        assert not any("job_attempt_logs" in one for one in statements)
        assert log_of(ledger.app, ADA, str(off.id)).attempt is None


@pytest.mark.parametrize("level", ["LOUD", 10, ("INFO",)])
def test_a_level_that_does_not_exist_is_refused_where_the_class_is_made(level: Any) -> None:
    with pytest.raises(DefinitionError, match="capture_logs"):

        class LoggedLoudly(Job, capture_logs=level):
            pass


class LogsSecrets(Job, redact={"account"}):
    account: str
    code: Secret[str]
    order: int

    def perform(self) -> None:
        self.run.log("charge %s with %s for %s", self.account, self.code, self.order)


def test_values_that_the_job_declares_as_secret_are_hidden_and_roles_without_arguments_see_no_text(
    ledger: Ledger,
) -> None:
    run = ledger.perform(LogsSecrets(account="DE-4711-77", code="s3cret-code", order=123456)).run

    shown = log_of(ledger.app, ADA, str(run.id))
    assert texts(shown) == ["charge (hidden) with (hidden) for 123456"]
    watcher = Operator("grace", permissions=frozenset({Permission.RUNS_READ}))
    assert texts(log_of(ledger.app, watcher, str(run.id))) == [HIDDEN]
