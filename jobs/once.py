"""Once: a step of a job takes place once, and later attempts get what it gave back."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Literal

from pydantic_core import to_json

from jobs.arguments import check_json
from jobs.errors import ArgumentsRefused, EnqueueRefused, Steering, StepRefused, StepRepeated, UnknownEffect
from jobs.ledger import steps
from jobs.transaction import Performing

MAX_NAME = 200

IfUnknown = Literal["repeat", "stop"]


def once(run: Performing, name: str, fn: Callable[[], Any], if_unknown: IfUnknown) -> Any:
    """See ``Run.once``."""
    if if_unknown not in ("repeat", "stop"):
        raise EnqueueRefused(f"if_unknown= is 'repeat' or 'stop', got {if_unknown!r}.")
    take_name(run, name)
    run.refuse_inside("once()")
    database, attempt = run.app.database, run.attempt
    with database.write(urgent=True) as connection:
        begun = steps.begin_effect(connection, run.id, run.token, name, attempt=attempt)
        if begun.is_done:
            return begun.result
        if not begun.is_new:
            if if_unknown == "stop":
                raise UnknownEffect(
                    f"Step {name!r} of run {run.id} began in an earlier attempt, and whether it took place is unknown.",
                    hint="Find out, then replay the run or enqueue another.",
                )
            steps.repeat_effect(connection, run.id, run.token, name, attempt=attempt)
    try:
        value = fn()
    except Steering:
        # The author's own word: it did not take place.
        with database.write(urgent=True) as connection:
            steps.withdraw_effect(connection, run.id, run.token, name)
        raise
    text = write_result(value, what=f"What step {name!r} gave back", max_bytes=run.app.settings.max_result_bytes)
    with database.write(urgent=True) as connection:
        steps.end_effect(connection, run.id, run.token, name, result=text)
    return json.loads(text)


def take_name(run: Performing, name: str) -> None:
    """Use a step's name in this attempt.

    Raises:
        StepRepeated: it has been used.
    """
    if not isinstance(name, str) or not name or len(name) > MAX_NAME or not name.isprintable():
        raise StepRefused(f"{name!r} cannot name a step.", hint=f"Use printable text of 1 to {MAX_NAME} characters.")
    if name in run.step_names:
        raise StepRepeated(
            f"Two steps of run {run.id} are called {name!r}.", hint="In a loop, put what differs into the name."
        )
    run.step_names.add(name)


def write_result(value: Any, *, what: str, max_bytes: int) -> str:
    """``value`` as JSON text that the ledger can hold.

    Raises:
        StepRefused: it is no JSON, or too large.
    """
    try:
        text = to_json(value, inf_nan_mode="constants").decode()
        json.loads(text, parse_constant=_refuse_constant)
        check_json(text, what=what, max_bytes=max_bytes)
    except ArgumentsRefused as error:
        raise StepRefused(error.message, hint="Store it, and keep where it is.") from None
    except (ValueError, RecursionError) as error:
        raise StepRefused(
            f"{what} cannot be kept as JSON: {type(error).__name__}: {str(error)[:200]}.",
            hint="Give back text, numbers, lists and the like.",
        ) from None
    return text


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
