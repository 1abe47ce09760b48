"""The schedules that an application's code declares: on job classes, and in ``schedules`` lists of modules.

class NightlyReport(Job, schedule=Cron("0 3 * * *", timezone="Europe/Paris")): ...

schedules = [Every(timedelta(minutes=5), job=Poll), Cron("0 9 * * *", job=Report(region="eu"), name="eu-report")]

A dramatiq actor is scheduled by such a list too: ``Every(timedelta(minutes=5), job=poll.message("inbox"))``.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from jobs.client.job import Job
from jobs.definition import registry
from jobs.errors import DefinitionError, JobsError
from jobs.scheduling.schedule import At, Cron, Every, Schedule

COLLECTION = "schedules"
"""The name of a module's list of schedules."""


@dataclass(frozen=True, slots=True)
class Declared:
    """A schedule declared in code: its name, the job that it enqueues, and its place in the source."""

    name: str
    schedule: Schedule
    job: Job
    module: str
    line: int

    @property
    def place(self) -> str:
        """The place as the ledger stores it: the same on every machine."""
        return f"{self.module}:{self.line}"

    @property
    def in_source(self) -> str:
        """The place with file and line, for error messages."""
        return _in_source(self.module, self.line)


def declared() -> list[Declared]:
    """Every schedule that the imported modules declare, by name.

    Raises:
        DefinitionError: a schedule is invalid, or two have the same name; the message gives the place in the source.
    """
    found: dict[str, Declared] = {}
    for one in (*_of_classes(), *_of_modules()):
        other = found.setdefault(one.name, one)
        if other is not one:
            raise DefinitionError(
                f"Two schedules are called {one.name!r}: {other.in_source} and {one.in_source}.",
                hint="Give one of them another name: Cron(…, name='…').",
            )
    return [found[name] for name in sorted(found)]


def _of_classes() -> Iterator[Declared]:
    for kind in registry.kinds():
        cls = registry.get(kind)
        for schedule in cls.options.schedules:
            line = _line_of_class(cls)
            job = _made(cls, _in_source(cls.__module__, line))
            yield Declared(schedule.name or kind, schedule, job, cls.__module__, line)


def _of_modules() -> Iterator[Declared]:
    seen: set[int] = set()
    for module in list(sys.modules.values()):
        listed = getattr(module, "__dict__", {}).get(COLLECTION)
        if not isinstance(listed, list | tuple) or not any(isinstance(one, Cron | Every | At) for one in listed):
            continue
        # A list that another module imports by name is the same list.
        if id(listed) not in seen:
            seen.add(id(listed))
            yield from _of_list(module, listed)


def _of_list(module: ModuleType, listed: Sequence[Any]) -> Iterator[Declared]:
    lines = _lines_of_list(module, len(listed))
    for schedule, line in zip(listed, lines, strict=True):
        where = _in_source(module.__name__, line)
        if not isinstance(schedule, Cron | Every | At):
            raise DefinitionError(f"{where}: {COLLECTION} holds Cron(…), Every(…) and At(…), got {schedule!r}.")
        job = schedule.job
        if isinstance(job, type) and issubclass(job, Job):
            job = _made(job, where)
        elif hasattr(job, "actor_name"):
            job = _of_actor(job, where)
        if not isinstance(job, Job):
            raise DefinitionError(
                f"{where}: a schedule in a list needs its job, got {job!r}.", hint="Write Cron(…, job=SomeJob(…))."
            )
        yield Declared(schedule.name or job.options.kind, schedule, job, module.__name__, line)


def _of_actor(given: Any, where: str) -> Job:
    """The job for a dramatiq message, or for an actor itself."""
    make = getattr(registry.find(given.actor_name), "_of_message", None)
    if make is None:
        raise DefinitionError(
            f"{where}: {given.actor_name!r} is not an actor of a LedgerBroker.",
            hint="Set the broker before its module is imported: dramatiq.set_broker(LedgerBroker()).",
        )
    try:
        job: Job = make(given)
    except JobsError as error:
        raise DefinitionError(f"{where}: {error.message}", hint=error.hint) from error
    return job


def _made(cls: type[Job], where: str) -> Job:
    try:
        return cls()
    except JobsError as error:
        raise DefinitionError(
            f"{where}: {cls.__name__} is scheduled without arguments: {error}",
            hint=f"Give every field a default, or the arguments: job={cls.__name__}(…).",
        ) from error


def _line_of_class(cls: type) -> int:
    try:
        return inspect.getsourcelines(cls)[1]
    except (OSError, TypeError):
        return 0


def _lines_of_list(module: ModuleType, count: int) -> list[int]:
    """The line of each element, if the list is a literal in one place; otherwise each schedule's own line."""
    try:
        tree = ast.parse(inspect.getsource(module))
    except (OSError, TypeError, SyntaxError):
        return [0] * count
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(one, ast.Name) and one.id == COLLECTION for one in targets):
            value = getattr(node, "value", None)
            if isinstance(value, ast.List | ast.Tuple) and len(value.elts) == count:
                return [one.lineno for one in value.elts]
            return [node.lineno] * count
    return [0] * count


def _in_source(module: str, line: int) -> str:
    file = getattr(sys.modules.get(module), "__file__", None) or module
    return f"{file}, line {line}" if line else str(file)
