"""Run hooks: around every attempt, in order, with the error of the attempt, and never in its way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

import jobs
from jobs import RunState
from jobs.runtime.run_hooks import RunHooks, run_hooks
from jobs.testing import Ledger

heard: list[str] = []


class Works(jobs.Job):
    fails: bool = False

    @classmethod
    def prepare(cls) -> None:
        heard.append("prepare")

    def perform(self) -> None:
        heard.append("perform")
        if self.fails:
            raise ValueError("the job's")


@contextmanager
def outer(run: jobs.Run) -> Iterator[None]:
    heard.append(f"enter {run.kind} {run.attempt} {run.worker}")
    try:
        yield
    except BaseException as error:
        heard.append(f"outer saw {error!r}")
        raise
    heard.append("leave outer")


@contextmanager
def swallows(run: jobs.Run) -> Iterator[None]:
    try:
        yield
    except ValueError:
        heard.append("swallowed")


@contextmanager
def refuses(run: jobs.Run) -> Iterator[None]:
    raise LookupError("the hook's")
    yield


@pytest.fixture(autouse=True)
def hooks() -> Iterator[RunHooks]:
    before, run_hooks._hooks = run_hooks._hooks, ()
    heard.clear()
    yield run_hooks
    run_hooks._hooks = before


def test_hooks_are_around_prepare_and_perform(hooks: RunHooks, jobs_ledger: Ledger) -> None:
    jobs.run_hooks.add(outer)
    jobs.run_hooks.add(outer)

    jobs_ledger.perform(Works())

    assert heard == ["enter Works 1 testing", "prepare", "perform", "leave outer"]


def test_a_hook_sees_the_error_and_cannot_turn_it_into_a_success(hooks: RunHooks, jobs_ledger: Ledger) -> None:
    for hook in (outer, swallows):
        hooks.add(hook)

    done = jobs_ledger.perform(Works(fails=True))

    assert heard[-2:] == ["swallowed", 'outer saw ValueError("the job\'s")']
    assert isinstance(done.error, ValueError)
    assert done.run.state is RunState.QUEUED


def test_an_error_of_a_hook_is_the_attempts(hooks: RunHooks, jobs_ledger: Ledger) -> None:
    for hook in (outer, refuses):
        hooks.add(hook)

    done = jobs_ledger.perform(Works())

    assert heard[-1] == 'outer saw LookupError("the hook\'s")'
    assert "perform" not in heard
    assert (done.run.error_type, done.run.charged) == ("LookupError", 1)


def test_an_actor_that_is_done_shows_no_error_to_hooks(hooks: RunHooks) -> None:
    from jobs.messages.message_outcome import Ended, MessageOutcome
    from jobs.states import Outcome

    for error in (None, ValueError("the actor's")):
        with pytest.raises(Ended), hooks_of(outer).around(FakeRun()):  # type: ignore[arg-type]
            raise Ended(MessageOutcome(Outcome.SUCCEEDED, error=error))

    assert heard == ["enter k 1 w", "leave outer", "enter k 1 w", 'outer saw ValueError("the actor\'s")']


def test_a_coroutine_has_async_hooks_and_plain_ones(hooks: RunHooks) -> None:
    import asyncio

    @asynccontextmanager
    async def of_coroutines(run: jobs.Run) -> AsyncIterator[None]:
        heard.append("async in")
        yield
        heard.append("async out")

    made = hooks_of(outer)
    made.add(swallows, for_async=of_coroutines)

    async def perform() -> None:
        async with made.around_async(FakeRun()):  # type: ignore[arg-type]
            heard.append("perform")

    asyncio.run(perform())

    assert heard == ["enter k 1 w", "async in", "perform", "async out", "leave outer"]


def test_a_hook_that_cannot_be_called_is_refused(hooks: RunHooks) -> None:
    invalid: Any = "a name"
    with pytest.raises(jobs.DefinitionError, match="got 'a name'"):
        hooks.add(invalid)


class FakeRun:
    kind, attempt, worker = "k", 1, "w"


def hooks_of(*all_of_them: Any) -> RunHooks:
    made = RunHooks()
    for one in all_of_them:
        made.add(one)
    return made
