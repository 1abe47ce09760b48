"""Logs of attempts are read with their run: followed, bounded over a process, kept from a child process."""

from __future__ import annotations

import json
import threading
from datetime import timedelta

import pytest
from click.testing import CliRunner
from sqlalchemy import func, select

from admin_cli.main import cli
from jobs import Job
from jobs.app import App
from jobs.clock import SystemClock
from jobs.database.models import JobAttemptLog
from jobs.ledger.records import AttemptResult, Claim
from jobs.ledger.runs.prune import prune_ended
from jobs.ledger.runs.purge import erase
from jobs.operations.runs.logs import follow_log, log_of
from jobs.runtime.attempt_log import AttemptLog
from jobs.states import Outcome, RunState
from jobs.testing import Ledger
from tests.waiting import wait_until
from tests.worker.attempt.logging_jobs import ADA, LogsOddly
from tests.worker.attempt.logging_jobs import ledger as ledger
from tests.worker.attempt.logging_jobs import streams as streams
from tests.worker.one_process import started
from worker.protocol.child_result import CHILD_RESULT, ChildResult

GATES: dict[str, threading.Event] = {"in": threading.Event(), "out": threading.Event()}


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
