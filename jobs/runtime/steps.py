"""Steps: a named effect of a job happens once; later attempts get its stored result."""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic_core import to_json

from jobs.database.semaphore import on_loop
from jobs.definition.arguments import check_json
from jobs.errors import (
    ArgumentsRefused,
    EnqueueRefused,
    LedgerBusy,
    Steering,
    StepRefused,
    StepRepeated,
    UnknownEffect,
)
from jobs.formats.shown import shown
from jobs.ledger.effects import steps
from jobs.runtime import own_threads
from jobs.runtime.transaction import Performing

if TYPE_CHECKING:
    from sqlalchemy import Connection

T = TypeVar("T")
MAX_NAME = 200

IfUnknown = Literal["repeat", "stop"]


def once(
    run: Performing, name: str, fn: Callable[[], Any], if_unknown: IfUnknown, ask: Callable[[], Any] | None = None
) -> Any:
    """See ``Run.once``."""
    step = _Step(run, name, if_unknown, asks=ask is not None)
    if step.begin():
        return step.result
    if step.is_unknown and ask is not None:
        found = ask()
        step.take_over()
        if found is not None:
            return step.end(found)
    try:
        value = fn()
    except Steering:
        step.withdraw()
        raise
    return step.end(value)


async def once_async(
    run: Performing,
    name: str,
    fn: Callable[[], Awaitable[Any]],
    if_unknown: IfUnknown,
    ask: Callable[[], Awaitable[Any]] | None = None,
) -> Any:
    """See ``Run.once_async``. No thread is held while ``fn`` is awaited, and our own time is not the job's."""
    step = _Step(run, name, if_unknown, asks=ask is not None)
    try:
        with run.limits_off():
            if await own_threads.step(step.begin):
                return step.result
    except asyncio.CancelledError:
        if step.has_begun:
            # The intent is recorded but ``fn`` was not called: a later attempt must not treat the effect as unknown.
            await own_threads.step(step.withdraw)
        raise
    if step.is_unknown and ask is not None:
        found = await ask()
        with run.limits_off():
            await own_threads.step(step.take_over)
            if found is not None:
                return await own_threads.step(step.end, found)
    try:
        value = await fn()
    except Steering:
        with run.limits_off():
            await own_threads.step(step.withdraw)
        raise
    with run.limits_off():
        return await own_threads.step(step.end, value)


class _Step:
    """One step in one attempt: an intent, and possibly an end."""

    def __init__(self, run: Performing, name: str, if_unknown: IfUnknown, *, asks: bool = False) -> None:
        if if_unknown not in ("repeat", "stop"):
            raise EnqueueRefused(f"if_unknown= is 'repeat' or 'stop', got {if_unknown!r}.")
        take_name(run, name)
        run.refuse_inside("once()")
        self._run = run
        self._name = name
        self._if_unknown = if_unknown
        self._asks = asks
        self.result: Any = None
        self.has_begun = False
        self.is_unknown = False
        """Whether an earlier attempt began the step, and the job is asked whether it took place."""

    def begin(self) -> bool:
        """Record the intent. True if an earlier attempt has finished the step; ``result`` is then its result."""
        return self._write(self._begin)

    def take_over(self) -> None:
        """Take over the intent of the earlier attempt, once it is known whether its effect took place."""
        run, name = self._run, self._name
        self._write(lambda connection: steps.repeat_effect(connection, run.id, run.token, name, attempt=run.attempt))

    def withdraw(self) -> None:
        """Delete the intent: the effect did not take place, as the job said or because ``fn`` was never called."""
        run, name = self._run, self._name
        self._write(lambda connection: steps.withdraw_effect(connection, run.id, run.token, name))

    def end(self, value: Any) -> Any:
        """Record the result; returns it as read back from JSON."""
        run, name = self._run, self._name
        text = write_result(value, what=f"The result of step {name!r}", max_bytes=run.app.settings.max_result_bytes)
        stored = text if run.seal is None else run.seal.step_text(name, text)
        self._write(lambda connection: steps.end_effect(connection, run.id, run.token, name, result=stored))
        return json.loads(text)

    def _begin(self, connection: Connection) -> bool:
        run, name, attempt = self._run, self._name, self._run.attempt
        begun = steps.begin_effect(connection, run.id, run.token, name, attempt=attempt)
        if begun.is_done:
            self.result = begun.result if run.seal is None else run.seal.step_value(name, begun.result)
            return True
        self.has_begun = begun.is_new
        if not begun.is_new:
            self.is_unknown = self._asks
            if self._asks:
                return False
            if self._if_unknown == "stop":
                raise UnknownEffect(
                    f"Step {name!r} of run {run.id} began in an earlier attempt. It is unknown whether it took place.",
                    # A plain replay does not help: it keeps the step, and the run would die again.
                    hint=f"Check whether it did, and record it: jobledger effects resolve {run.id} {shlex.quote(name)} "
                    "--took-place RESULT, or --did-not. The run then goes on from there.",
                )
            steps.repeat_effect(connection, run.id, run.token, name, attempt=attempt)
        return False

    def _write(self, do: Callable[[Connection], T]) -> T:
        return write_step(self._run, do)


def write_step(run: Performing, do: Callable[[Connection], T]) -> T:
    """Run the write in a transaction of its own. A busy ledger is waited for while the job has time left."""
    while True:
        try:
            with run.app.database.write(urgent=True) as connection:
                return do(connection)
        except LedgerBusy:
            if on_loop() or not run.may_wait:
                raise


def check_name(name: str) -> None:
    """Refuse a name that no step or signal can have.

    Raises:
        StepRefused: it is no printable text, empty, or too long.
    """
    if not isinstance(name, str) or not name or len(name) > MAX_NAME or not name.isprintable():
        raise StepRefused(
            f"{shown(name)} cannot name a step.", hint=f"Use printable text of 1 to {MAX_NAME} characters."
        )


def take_name(run: Performing, name: str) -> None:
    """Mark a step's name as used in this attempt.

    Raises:
        StepRepeated: this attempt has already used it.
    """
    check_name(name)
    if name in run.step_names:
        raise StepRepeated(
            f"Two steps of run {run.id} are called {name!r}.", hint="In a loop, put what differs into the name."
        )
    run.step_names.add(name)


def write_result(value: Any, *, what: str, max_bytes: int) -> str:
    """``value`` as JSON text that the ledger can hold.

    Raises:
        StepRefused: it is not JSON, or too large.
    """
    try:
        text = to_json(value, inf_nan_mode="constants").decode()
        json.loads(text, parse_constant=_refuse_constant)
        check_json(text, what=what, max_bytes=max_bytes)
    except ArgumentsRefused as error:
        raise StepRefused(error.message, hint="Store the data elsewhere, and return its location.") from None
    except (ValueError, RecursionError) as error:
        raise StepRefused(
            f"{what} cannot be stored as JSON: {type(error).__name__}: {str(error)[:200]}.",
            hint="Return text, numbers, lists and the like.",
        ) from None
    return text


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
