"""Logs of attempts: kept and bounded, captured for their own attempt only, without secrets, gone with the run."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import event, func, select

import jobs
from admin_cli.main import cli
from jobs import Job, Secret
from jobs.app import App
from jobs.clock import SystemClock
from jobs.database.models import JobAttemptLog
from jobs.definition.redaction import HIDDEN
from jobs.errors import DefinitionError
from jobs.ledger.records import AttemptResult, Claim
from jobs.ledger.runs.prune import prune_ended
from jobs.ledger.runs.purge import erase
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.runs.logs import StoredLog as Shown
from jobs.operations.runs.logs import follow_log, log_of
from jobs.runtime.attempt_log import MAX_LINE, AttemptLog
from jobs.states import Outcome, RunState
from jobs.testing import Ledger
from tests.waiting import wait_until
from tests.worker.one_process import started
from worker.protocol.child_result import CHILD_RESULT, ChildResult

log = logging.getLogger("shop.cards")
ADA = Operator("ada@desk")
GATES: dict[str, threading.Event] = {"in": threading.Event(), "out": threading.Event()}


@pytest.fixture
def ledger(ledger_url: str) -> Any:
    with Ledger(ledger_url) as ledger:
        yield ledger


@pytest.fixture(autouse=True)
def streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts back what capturing changes in a process."""
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    monkeypatch.setattr(logging.getLogger(), "handlers", list(logging.getLogger().handlers))
    monkeypatch.setattr(logging.getLogger(), "level", logging.WARNING)
    logging.getLogger().manager._clear_cache()  # type: ignore[attr-defined]


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


class Odd:
    def __str__(self) -> str:
        raise TypeError

    __repr__ = __str__


class LogsOddly(Job):
    def perform(self) -> None:
        self.run.log("%d of %d", "one")
        self.run.log("%s", Odd())
        self.run.log("half \ud800 and \0 nul", level=logging.ERROR)
        self.run.log(7)  # type: ignore[arg-type]


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


def test_logs_go_with_their_run(ledger: Ledger) -> None:
    erased, pruned = (ledger.perform(LogsOddly()).run for _ in range(2))

    def count() -> int | None:
        with ledger.app.database.read() as connection:
            return connection.scalar(select(func.count()).select_from(JobAttemptLog))

    assert count() == 2
    with ledger.app.database.write() as connection:
        erase(connection, [erased.id])
    assert count() == 1
    later = ledger.app.clock.now() + timedelta(days=1)
    with ledger.app.database.write() as connection:
        assert prune_ended(connection, RunState.SUCCEEDED, after=timedelta(hours=1), now=later) == 2
    assert count() == 0
    assert pruned.id != erased.id


class LogsSlowly(Job, queue="attempt-logs"):
    def perform(self) -> None:
        self.run.log("began")
        GATES["in"].set()
        assert GATES["out"].wait(30)
        self.run.log("ends")


def test_a_follower_sees_the_lines_of_an_attempt_while_it_performs_and_its_end(
    app: App, ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBS_DATABASE_URL", ledger_url)
    monkeypatch.setattr("worker.attempt.log_keeper.WRITE_SECONDS", 0.05)
    monkeypatch.setattr("jobs.operations.runs.logs.FOLLOW_SECONDS", 0.02)
    for gate in GATES.values():
        gate.clear()
    run_id = str(LogsSlowly().enqueue().id)
    seen: list[tuple[str, str]] = []

    with started(app, "attempt-logs"):
        assert GATES["in"].wait(10)
        assert wait_until(lambda: log_of(app, ADA, run_id).is_open and log_of(app, ADA, run_id).lines, seconds=60)
        for line in follow_log(app, ADA, run_id, rest=lambda: None):
            seen.append((line.text, (log_of(app, ADA, run_id).is_open and "performing") or "ended"))
            GATES["out"].set()

    assert [text for text, _ in seen] == ["began", "ends"]
    assert seen[0][1] == "performing"
    done = CliRunner().invoke(cli, ["logs", run_id, "--follow", "-o", "jsonl"])
    assert [json.loads(line)["text"] for line in done.output.splitlines()] == ["began", "ends"]
    shown = json.loads(CliRunner().invoke(cli, ["show", run_id, "-o", "json"]).output)["data"]["log"]
    assert (shown["line_count"], shown["lines"][0]["text"]) == (2, "began")


def test_a_process_that_writes_too_much_keeps_less_of_each_attempt(ledger_url: str) -> None:
    with Ledger(ledger_url, max_log_rate=1024) as ledger:
        from worker.attempt.log_keeper import LogKeeper

        keeper = LogKeeper(ledger.app)
        claim = _claim()
        kept = []
        for _ in range(2):
            lines = AttemptLog(SystemClock().monotonic, max_bytes=65_536)
            keeper.open(claim, lines)
            for number in range(500):
                lines.add("INFO", "run", f"line {number}")
            one = keeper.close(claim.token)
            assert one is not None
            kept.append(one)

    assert [one.left_out for one in kept] == [0, 480]
    assert [one[0] for one in json.loads(kept[1].lines)] == [*range(1, 11), *range(491, 501)]


def test_an_attempt_ends_although_its_log_cannot_be_kept(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from worker.attempt.log_keeper import LogKeeper

    with Ledger() as ledger:
        keeper, claim = LogKeeper(ledger.app), _claim()
        lines = AttemptLog(SystemClock().monotonic, max_bytes=65_536)
        keeper.open(claim, lines)
        lines.add("INFO", "run", "line")

        def fails(self: LogKeeper, claim: Claim) -> None:
            raise LookupError("no secrets")

        monkeypatch.setattr(LogKeeper, "_redaction", fails)

        assert keeper.close(claim.token) is None
    assert "Log of an attempt not kept" in caplog.messages


def test_the_log_of_an_attempt_in_a_child_process_comes_with_its_result() -> None:
    from jobs.ledger.records import KeptLog

    log = KeptLog('[[1,0,"INFO","run","x"]]', 1, 0)
    result = AttemptResult(claim=_claim(), outcome=Outcome.SUCCEEDED, elapsed_seconds=1.0, ended_monotonic=1.0, log=log)
    sent = CHILD_RESULT.dump_python(ChildResult.of(result, None, was_interrupted=False), mode="json")

    assert CHILD_RESULT.validate_python(sent).attempt_result(result.claim, 2.0).log == log


def _claim() -> Claim:
    now = SystemClock().now()
    from jobs.clock import new_run_id, new_token

    return Claim(
        new_run_id(), new_token(), "LogsOddly", "default", 0, 1, 0, 0, 0, 3, "{}", 1, now, now, now, None, None, None,
        None,
    )  # fmt: skip


def test_a_line_behind_the_head_reads_as_it_was_logged_and_within_the_bytes() -> None:
    log = AttemptLog(SystemClock().monotonic, max_bytes=4_000)
    while not log._head_is_full:
        log.add("INFO", "run", "x" * 1_000)
    changing = {"state": "new"}

    log.add_formatted("INFO", "run", "order %s is %s", (7, changing))
    log.add_formatted("INFO", "run", "order %s of %s costs %.2f", (7, None, 9.5))
    log.add_formatted("INFO", "run", "100% of it", ())
    log.add_formatted("INFO", "run", "%d of it", ("half",))
    changing["state"] = "paid"

    assert [one.text for one in log.kept_lines()[-4:]] == [
        "order 7 is {'state': 'new'}", "order 7 of None costs 9.50", "100% of it", "'%d of it' ('half',)",
    ]  # fmt: skip
    for number in range(600):
        log.add_formatted("INFO", "run", "%s %s", (number, "y" * 90))
    log.close()
    log.add_formatted("INFO", "run", "too late", ())
    kept = log.kept_lines()
    assert (log.count, kept[-1].number, kept[-1].text[:4]) == (kept[-1].number, log.count, "599 ")
    assert sum(one.size for one in kept) <= 4_000
    assert len(kept) > 20
