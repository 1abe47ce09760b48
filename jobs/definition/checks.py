"""Checks a job class when it is defined: its fields, its ``perform``, and whether a schedule can make it."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from jobs.errors import DefinitionError

PYDANTIC_KEYWORDS = frozenset(
    {"__pydantic_generic_metadata__", "__pydantic_reset_parent_namespace__", "_create_model_module"}
)
"""Keywords that pydantic itself passes to a class that it makes (``Base[int]``); they are not our options."""


def is_filled_in(cls: Any) -> bool:
    """Whether pydantic made the class from a generic one (``Export[int]``). It has no name of its own."""
    return bool(cls.__pydantic_generic_metadata__["origin"])


def is_job(value: Any) -> bool:
    """Whether it is a job, which can be enqueued; a class of jobs is none."""
    return hasattr(value, "new_run") and not isinstance(value, type)


def is_async(cls: Any) -> bool:
    """Whether a job performs as a coroutine."""
    return _is_coroutine_function(cls.perform)


@lru_cache(4096)
def _is_coroutine_function(perform: Any) -> bool:
    # Kept, because a worker asks twice for each run, and the answer costs as much as reading its arguments.
    return inspect.iscoroutinefunction(perform)


def check_fields(cls: Any, reserved: Iterable[str], place: str) -> None:
    """Refuse a field that would hide an attribute that every job has.

    Raises:
        DefinitionError: there is one.
    """
    for field in cls.model_fields:
        if field in reserved:
            raise DefinitionError(
                f"Field {field!r} of job {place} has the name of an attribute that every job has.",
                hint=f"Call it {field}_value, say.",
            )


def check_redact(cls: Any, names: Iterable[str], place: str) -> None:
    """Check that the option ``redact`` names fields: a misspelt name would hide nothing.

    Raises:
        DefinitionError: one of them is no field.
    """
    for name in sorted(names):
        if name not in cls.model_fields:
            raise DefinitionError(
                f"Option redact of job {place} names {name!r}, which is no field of it.",
                hint=f"Its fields are: {', '.join(cls.model_fields) or 'none'}.",
            )


def check_perform(cls: Any, place: str) -> None:
    """Check that ``perform`` takes no arguments and that its work is done when it returns.

    Raises:
        DefinitionError: it yields, takes arguments or is not callable.
    """
    perform = cls.perform
    if inspect.isgeneratorfunction(perform) or inspect.isasyncgenfunction(perform):
        raise DefinitionError(
            f"perform of job {place} yields: calling it would do nothing.",
            hint="Return the result; report progress with self.run.progress(…).",
        )
    if not callable(perform):
        raise DefinitionError(f"perform of job {place} cannot be called, it is {type(perform).__name__}.")
    found = inspect.getattr_static(cls, "perform")
    try:
        inspect.signature(perform).bind(*(() if isinstance(found, staticmethod | classmethod) else (cls,)))
    except TypeError:
        raise DefinitionError(
            f"perform of job {place} takes arguments, but it is called with none.",
            hint="A job's arguments are its fields: write order_id: int in the class, and self.order_id in perform.",
        ) from None
    except ValueError:
        pass  # It is written in C and has no signature.


def check_can_be_scheduled(cls: Any, place: str, *, can_perform: bool) -> None:
    """Check that a scheduler can make the job without arguments.

    Raises:
        DefinitionError: it cannot.
    """
    if not can_perform:
        raise DefinitionError(f"Job {place} has a schedule but no perform method.", hint="Give it a perform method.")
    for name, field in cls.model_fields.items():
        if field.is_required():
            raise DefinitionError(
                f"Job {place} has a schedule, but its field {name!r} has no default.",
                hint=f"Give it one, or list the schedule in the module: schedules = [Cron(…, job={cls.__name__}(…))].",
            )
