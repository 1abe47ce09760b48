"""What leaves for Sentry: read from the envelopes that a receiver on this machine takes."""

from __future__ import annotations

import threading
from typing import Any
from uuid import uuid4

import pytest

from jobs.events import AttemptEnded, RunDeadLettered
from jobs.observe import sentry, watch
from jobs.observe.scrub import scrub
from jobs.runtime.failure import describe_failure
from jobs.states import Cause, Outcome, RunState
from tests.conftest import MakeApp
from tests.jobs.observe.sentry_receiver import Receiver, ended
from tests.jobs.observe.sentry_receiver import receiver as receiver
from tests.seen_app import Keeper

CANARY = "canary-" + uuid4().hex


def test_a_failed_attempt_is_reported_with_its_run_and_the_ledgers_fingerprint(
    receiver: Receiver, make_app: MakeApp, sqlite_url: str
) -> None:
    app = make_app(sqlite_url, sentry_dsn=receiver.dsn, sentry_environment="test")
    close = sentry.subscribe(app)
    one = _failed(state=RunState.QUEUED, attempt=2)

    app.events.emit([one])
    close()

    (event,) = receiver.items("event")
    assert event["level"] == "warning"
    assert event["fingerprint"] == [one.fingerprint]
    assert event["environment"] == "test"
    assert event["transaction"] == "Keeper"
    assert event["tags"]["kind"] == "Keeper"
    assert event["tags"]["queue"] == "mail"
    assert event["tags"]["run_id"] == str(one.run_id)
    assert event["tags"]["attempt"] == "2"
    assert event["exception"]["values"][-1]["type"] == "ValueError"
    assert event["exception"]["values"][-1]["stacktrace"]["frames"]


@pytest.mark.parametrize(
    ("level", "retried"), [("off", None), ("info", "info"), ("warning", "warning"), ("error", "error")]
)
def test_retries_have_the_level_chosen_and_deaths_are_always_errors(
    level: str, retried: str | None, receiver: Receiver, make_app: MakeApp, sqlite_url: str
) -> None:
    app = make_app(sqlite_url, sentry_dsn=receiver.dsn, sentry_retry_level=level)
    close = sentry.subscribe(app)

    app.events.emit([_failed(state=RunState.QUEUED)])
    app.events.emit([_failed(state=RunState.DEAD, cause=Cause.EXHAUSTED)])
    app.events.emit([RunDeadLettered(uuid4(), "Gone", "mail", Cause.UNKNOWN_KIND)])
    close()

    levels = [event["level"] for event in receiver.items("event")]
    assert levels == ([retried] if retried else []) + ["error", "error"]
    assert receiver.items("event")[-1]["tags"]["cause"] == "unknown_kind"


def test_successes_and_cancellations_are_no_errors_and_no_transactions(
    receiver: Receiver, make_app: MakeApp, sqlite_url: str
) -> None:
    app = make_app(sqlite_url, sentry_dsn=receiver.dsn)
    close = sentry.subscribe(app)

    app.events.emit([ended(Outcome.SUCCEEDED, RunState.SUCCEEDED), ended(Outcome.CANCELLED, RunState.CANCELLED)])
    app.events.emit([ended(Outcome.SNOOZED, RunState.QUEUED)])
    close()

    assert receiver.raw == []


def test_transactions_are_sampled_when_asked(receiver: Receiver, make_app: MakeApp, sqlite_url: str) -> None:
    app = make_app(sqlite_url, sentry_dsn=receiver.dsn, sentry_traces=1.0)
    close = sentry.subscribe(app)

    app.events.emit([ended(Outcome.SUCCEEDED, RunState.SUCCEEDED)])
    close()

    (sample,) = receiver.items("transaction")
    assert sample["transaction"] == "Keeper"
    assert sample["contexts"]["trace"]["op"] == "queue.process"
    assert sample["contexts"]["trace"]["status"] == "ok"


@pytest.mark.parametrize("asked", [False, True])
def test_arguments_leave_only_when_asked_for_and_then_scrubbed(
    asked: bool, receiver: Receiver, make_app: MakeApp, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(sqlite_url, sentry_dsn=receiver.dsn, sentry_arguments=asked)
    monkeypatch.setattr("jobs.boot._app", app)
    run = Keeper(password=CANARY, note="order 7").enqueue()
    close = watch(app)

    app.events.emit([_failed(state=RunState.DEAD, cause=Cause.EXHAUSTED, run_id=run.id)])
    close()

    (event,) = receiver.items("event")
    assert event["contexts"].get("arguments", {}).get("note") == ("order 7" if asked else None)
    assert event["contexts"].get("arguments", {}).get("password") == ("[Filtered]" if asked else None)
    assert CANARY not in b"".join(receiver.raw).decode()


def test_local_variables_are_not_sent(receiver: Receiver, make_app: MakeApp, sqlite_url: str) -> None:
    app = make_app(sqlite_url, sentry_dsn=receiver.dsn)
    close = sentry.subscribe(app)

    app.events.emit([_failed(state=RunState.QUEUED)])
    close()

    frames = receiver.items("event")[0]["exception"]["values"][-1]["stacktrace"]["frames"]
    assert all(not frame.get("vars") for frame in frames)
    assert CANARY not in b"".join(receiver.raw).decode()


def test_an_unreachable_sentry_delays_no_worker_and_fills_no_log(
    make_app: MakeApp, sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(sqlite_url, sentry_dsn="http://key@127.0.0.1:9/7")
    close = sentry.subscribe(app)
    failed = [_failed(state=RunState.QUEUED)] * 1000

    took: list[float] = []
    for _ in range(3):
        began = app.clock.monotonic()
        app.events.emit(failed)
        took.append(app.clock.monotonic() - began)
    close()

    assert min(took) < 2.0
    assert {record.getMessage() for record in caplog.records} == {"Errors dropped: Sentry too slow"}
    assert len(caplog.records) <= 12


def test_without_a_dsn_sentry_is_off(make_app: MakeApp, sqlite_url: str) -> None:
    app = make_app(sqlite_url)
    before = set(threading.enumerate())

    watch(app)()

    assert {one.name for one in set(threading.enumerate()) - before} == set()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"api_key": "x", "order": 7}, {"api_key": "[Filtered]", "order": 7}),
        ({"deep": [{"Authorization": "x"}]}, {"deep": [{"Authorization": "[Filtered]"}]}),
        ("postgresql://u:pw@host/db", "postgresql://[Filtered]@host/db"),
        ("pay 4111 1111 1111 1111 now", "pay [Filtered] now"),
        ("key sk_live_0123456789ab", "key [Filtered]"),
        ("x" * 300, "x" * 200 + "…"),
    ],
)
def test_text_that_looks_like_a_secret_is_scrubbed(given: object, expected: object) -> None:
    assert scrub(given) == expected


def _failed(*, state: RunState, cause: Cause | None = None, attempt: int = 1, run_id: Any = None) -> AttemptEnded:
    error = _raised()
    failure = describe_failure(error, kind="Keeper")
    return ended(
        Outcome.FAILED,
        state,
        cause=cause,
        attempt=attempt,
        error=error,
        error_type=failure.type,
        error_message=failure.message,
        fingerprint=failure.fingerprint,
        **({"run_id": run_id} if run_id else {}),
    )


def _raised() -> ValueError:
    password = CANARY
    try:
        raise ValueError(f"no, {len(password)}")
    except ValueError as error:
        return error
