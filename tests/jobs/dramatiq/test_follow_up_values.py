"""K.7: what a message's end hands on is recorded with it, or the message has not succeeded, and says why."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import dramatiq
import pytest
from dramatiq.middleware import GroupCallbacks
from dramatiq.rate_limits.backends import StubBackend

from jobs.dramatiq import LedgerBroker
from jobs.ledger.effects.groups import open_group
from jobs.ledger.queries.find import list_attempts, list_runs
from jobs.ledger.run_records import RunRecord
from jobs.states import RunState
from tests.jobs.dramatiq.broker_runs import JOIN
from tests.jobs.dramatiq.conftest import StartWorker

CANNOT = {
    "nan": (float("nan"), "NaN"),
    "inf": (float("inf"), "Infinity"),
    "deep in": ([{"mean": float("-inf")}], "-Infinity"),
    "2**70": (2**70, "beyond 64 bits"),
    "-2**63-1": (-(2**63) - 1, "beyond 64 bits"),
    "nul": ("a\0b", "NUL"),
    "half": ("\ud800", "half a character"),
    "large": ("x" * 300_000, "300,"),
}
CAN: dict[str, Any] = {
    "-2**63": -(2**63),
    "2**63-1": 2**63 - 1,
    "words": "NaN and Infinity",
    "none": None,
    "float": 1e300,
}


def runs(broker: LedgerBroker, kind: str) -> list[RunRecord]:
    with broker.app.database.read() as connection:
        return list_runs(connection, kind=kind)


@pytest.fixture
def piped(broker: LedgerBroker) -> list[Any]:
    """What ``second`` was called with; ``first`` gives back what it is asked for."""
    seen: list[Any] = []
    values = {name: value for name, (value, _) in CANNOT.items()} | CAN

    @dramatiq.actor(max_retries=3)
    def first(name: str) -> Any:
        return values[name]

    @dramatiq.actor
    def second(value: Any) -> None:
        seen.append(value)

    return seen


@pytest.mark.parametrize(("name", "way"), [*((name, "pipe") for name in CANNOT), ("nan", "call"), ("large", "call")])
def test_a_result_that_cannot_be_passed_on_ends_its_run_dead_and_the_error_names_it(
    broker: LedgerBroker, start_worker: StartWorker, piped: list[Any], name: str, way: str
) -> None:
    # K.7
    first, second = broker.get_actor("first"), broker.get_actor("second")
    if way == "pipe":
        (first.message(name) | second.message()).run()
    else:
        first.send_with_options(args=(name,), on_success=second)

    start_worker()
    broker.join("default", timeout=JOIN)

    (run,) = runs(broker, "first")
    assert (run.state, run.cause) == (RunState.DEAD, "bad_arguments")
    assert CANNOT[name][1] in (run.error_message or "")
    with broker.app.database.read() as connection:
        assert len(list_attempts(connection, run.id)) == 1
    assert runs(broker, "second") == piped == []


@pytest.mark.parametrize("name", CAN)
def test_a_result_that_can_be_stored_is_passed_to_the_next_message(
    broker: LedgerBroker, start_worker: StartWorker, piped: list[Any], name: str
) -> None:
    # K.7: -2**63 fits 64 bits.
    (broker.get_actor("first").message(name) | broker.get_actor("second").message()).run()

    start_worker()
    broker.join("default", timeout=JOIN)

    assert piped == [CAN[name]]
    assert [run.state for run in runs(broker, "first")] == [RunState.SUCCEEDED]


def test_a_group_whose_callback_cannot_be_recorded_is_not_forgotten(
    broker: LedgerBroker, start_worker: StartWorker
) -> None:
    # K.7
    broker.add_middleware(GroupCallbacks(StubBackend()))

    @dramatiq.actor(max_retries=0)
    def member() -> None: ...

    group_id = uuid4()
    with broker.app.database.write() as connection:
        open_group(connection, group_id, 1)
    member.send_with_options(group_completion_uuid=str(group_id), group_completion_callbacks=[{"no": "message"}])

    start_worker()
    broker.join("default", timeout=JOIN)

    (run,) = runs(broker, "member")
    assert (run.state, run.cause) == (RunState.DEAD, "bad_arguments")


@pytest.fixture
def silent() -> Iterator[None]:
    """What the error says is logged, and no test report can hold half a character."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize("text", ["a\0b", "\ud800 half", "x" * 100_000], ids=["nul", "half", "long"])
def test_a_retry_is_made_whatever_the_error_says(broker: LedgerBroker, start_worker: StartWorker, text: str) -> None:
    # K.7
    tries: list[int] = []

    @dramatiq.actor(max_retries=2, min_backoff=1, max_backoff=1)
    def fails(pad: str) -> None:
        tries.append(len(tries))
        if len(tries) < 3:
            raise ValueError(text)

    fails.send("y" * 250_000)
    start_worker()
    broker.join("default", timeout=JOIN)

    assert tries == [0, 1, 2]
    assert [run.state for run in runs(broker, "fails")] == [RunState.SUCCEEDED]


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize(
    ("text", "kept"),
    [("a\0b", "a\ufffdb"), ("\ud800 half", "? half"), ("x" * 100_000, "x" * 2_000), ("fine", "fine")],
    ids=["nul", "half", "long", "fine"],
)
def test_a_failure_callback_is_called_whatever_the_error_says(
    broker: LedgerBroker, start_worker: StartWorker, text: str, kept: str
) -> None:
    # K.7
    told: list[tuple[Any, Any]] = []

    @dramatiq.actor
    def hears(message: Any, error: Any) -> None:
        told.append((message, error))

    @dramatiq.actor(max_retries=0, on_failure="hears")
    def fails(pad: str) -> None:
        raise ValueError(text)

    fails.send("y" * 250_000)
    start_worker()
    broker.join("default", timeout=JOIN)

    ((message, error),) = told
    assert error == {"type": "ValueError", "message": kept}
    assert message["args"] == ["y" * 250_000]
    assert [run.state for run in runs(broker, "hears")] == [RunState.SUCCEEDED]


def test_arguments_that_json_has_not_are_refused_at_once(broker: LedgerBroker, piped: list[Any]) -> None:
    # K.7: by one rule, whatever the database would take.
    from jobs.errors import ArgumentsRefused

    with pytest.raises(ArgumentsRefused, match="NaN"):
        broker.get_actor("second").send(float("nan"))
