"""Tasks as they are performed: their context, their order, retries, signals."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs.testing import Ledger


def test_the_context_has_the_result_and_the_attempt(perform: Any, tasks: Any) -> None:
    result = perform(tasks.get_task_id)
    assert result.return_value == result.id

    assert perform(tasks.test_context, 1).status.name == "SUCCESSFUL"


def test_a_retried_task_is_ready_again_and_counts_its_attempts(performing: Ledger, tasks: Any) -> None:
    result = tasks.succeed_on.enqueue(3)

    performing.drain()
    result.refresh()
    assert (result.status.name, result.attempts, len(result.errors)) == ("READY", 1, 1)
    performing.drain(advance=timedelta(minutes=1))
    result.refresh()

    assert result.status.name == "SUCCESSFUL"
    assert result.return_value == [3, ["testing"] * 3, 2]
    assert result.worker_ids == ["testing"] * 3
    assert result.started_at < result.last_attempted_at <= result.finished_at


def test_a_deferred_task_waits_for_its_moment(performing: Ledger, tasks: Any) -> None:
    moment = datetime.now(UTC) + timedelta(hours=1)
    result = tasks.noop_task.using(run_after=moment).enqueue()

    assert tasks.noop_task.get_result(result.id) == result
    performing.drain()
    result.refresh()
    assert result.status.name == "READY"
    performing.drain(advance=timedelta(hours=2))
    result.refresh()
    assert result.status.name == "SUCCESSFUL"


def test_higher_priorities_go_first(performing: Ledger, tasks: Any) -> None:
    given = {priority: tasks.noop_task.using(priority=priority).enqueue().id for priority in (0, -100, 100, 1)}

    done = performing.drain()

    assert [str(one.run.id) for one in done] == [given[100], given[1], given[0], given[-100]]
    assert [one.run.priority for one in done] == [-100, -1, 0, 100]


def test_the_signals_are_sent_and_logged(
    performing: Ledger, tasks: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobs.django.framework import signals

    caplog.set_level(logging.DEBUG, logger=signals.logger.name)
    heard: list[tuple[str, str, int]] = []

    def hear(name: str) -> Any:
        return lambda sender, task_result, **more: heard.append((name, task_result.status.name, task_result.attempts))

    for name in ("task_enqueued", "task_started", "task_finished"):
        receiver = hear(name)
        signal = getattr(signals, name)
        signal.connect(receiver, weak=False)
        monkeypatch.setattr(signal, "receivers", signal.receivers[:])

    tasks.noop_task.enqueue()
    performing.drain()
    assert heard == [("task_enqueued", "READY", 0), ("task_started", "RUNNING", 1), ("task_finished", "SUCCESSFUL", 1)]
    assert [record.message.rpartition(" ")[2] for record in caplog.records] == [
        "backend=default", "state=RUNNING", "state=SUCCESSFUL",
    ]  # fmt: skip

    heard.clear()
    caplog.clear()
    tasks.failing_task_value_error.enqueue()
    performing.drain()
    assert heard[-1] == ("task_finished", "FAILED", 1)
    assert caplog.records[-1].levelno == logging.ERROR
    assert "This Task failed due to ValueError" in caplog.text

    heard.clear()
    tasks.succeed_on.enqueue(3)
    performing.drain(advance=timedelta(minutes=1))
    assert [name for name, *_ in heard] == ["task_enqueued", *["task_started"] * 3, "task_finished"]


def test_a_receiver_that_fails_changes_nothing(perform: Any, tasks: Any) -> None:
    from jobs.django.framework import signals

    def fail(**more: Any) -> None:
        raise RuntimeError("a receiver's")

    for name in ("task_enqueued", "task_started", "task_finished"):
        getattr(signals, name).connect(fail)
    try:
        assert perform(tasks.noop_task).status.name == "SUCCESSFUL"
    finally:
        for name in ("task_enqueued", "task_started", "task_finished"):
            getattr(signals, name).disconnect(fail)


def test_a_task_as_a_job_follows_another(performing: Ledger, tasks: Any) -> None:
    from jobs.django import as_job

    as_job(tasks.noop_task, 1).enqueue(on_success=[as_job(tasks.calculate_meaning_of_life)])

    done = performing.drain()

    assert [one.run.kind.rpartition(".")[2] for one in done] == ["noop_task", "calculate_meaning_of_life"]
    assert done[1].run.result == 42
