"""What the ledger can do for a task and Django's ``@task`` has no word for: retries, time limits, uniqueness.

A decorator beside ``@task``, or OPTIONS of the backend, where an entry below ``tasks`` wins over the decorator:

    @task
    @task_options(retry=Retry(max_attempts=5), timeout=timedelta(minutes=2))
    def charge(order_id): ...

    "OPTIONS": {
        "retry": {"max_attempts": 3},
        "tasks": {"shop.tasks.charge": {"timeout": "30s", "unique": "while_live"}},
    }
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar

from django.utils.module_loading import import_string

from jobs.definition.retry import Retry
from jobs.definition.unique import FOREVER, WHILE_LIVE, Unique, Within
from jobs.errors import DefinitionError
from jobs.formats.duration import parse_duration
from jobs.formats.shown import shown

T = TypeVar("T")
ATTRIBUTE = "__jobs_task_options__"
NEVER_AGAIN = Retry(max_attempts=1)
"""The retry policy of a task that says nothing: none, as with Django's own backends."""
SET_BY_TASK = frozenset({"kind", "queue", "priority", "schedule"})
"""Options of jobs that a task has words of its own for."""
OF_AN_ENQUEUE = frozenset({"key", "expires", "tags"})
"""Options that are no options of a job class: they belong to each enqueue."""
_SPANS = ("first", "cap", "within")


def task_options(**options: Any) -> Callable[[T], T]:
    """A decorator beside ``@task``, above or below it.

    Args:
        options: the class keywords of a job (``retry``, ``timeout``, ``unique``, ``isolated``, ``memory``, ``aliases``,
            …), and ``key`` (a function of the task's arguments that returns the unique key, or None), ``expires`` and
            ``tags``. Spans may be texts such as "30s"; ``retry`` may be a dictionary.

    Raises:
        DefinitionError: an option is unknown or invalid; raised where the task is made, if it stands below ``@task``.
    """
    read = read_options(options, where="task_options")

    def decorate(target: T) -> T:
        function: Any = getattr(target, "func", target)
        setattr(function, ATTRIBUTE, {**getattr(function, ATTRIBUTE, {}), **read})
        return target

    return decorate


def read_options(given: Any, *, where: str) -> dict[str, Any]:
    """Options as a job class takes them, from what settings or a decorator say.

    Raises:
        DefinitionError: one is invalid here; a job class checks the rest.
    """
    if not isinstance(given, Mapping):
        raise DefinitionError(f"{where} takes a dictionary of options, got {shown(given)}.")
    for name in SET_BY_TASK & given.keys():
        raise DefinitionError(
            f"{where} cannot set {name!r}.",
            hint="@task(priority=…, queue_name=…) sets them; the kind is the path of the function.",
        )
    read = dict(given)
    try:
        if isinstance(read.get("timeout"), str):
            read["timeout"] = parse_duration(read["timeout"])
        if isinstance(read.get("expires"), str):
            read["expires"] = parse_duration(read["expires"])
        if isinstance(read.get("retry"), Mapping):
            read["retry"] = _retry(read["retry"])
        if isinstance(read.get("unique"), str):
            read["unique"] = _unique(read["unique"])
        if isinstance(read.get("key"), str):
            read["key"] = import_string(read["key"])
    except (ValueError, TypeError, ImportError) as error:
        raise DefinitionError(f"{where}: {error}") from error
    if read.get("key") is not None and not callable(read["key"]):
        raise DefinitionError(f"{where}: key is a function of the task's arguments, got {shown(read['key'])}.")
    expires = read.get("expires")
    if expires is not None and not isinstance(expires, timedelta):
        raise DefinitionError(f"{where}: expires is a timedelta, got {shown(expires)}.")
    return read


def options_of(function: Any, path: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a task: those for its path, then its decorator's, then the defaults in OPTIONS."""
    defaults = {name: value for name, value in given.items() if name != "tasks"}
    by_path = given.get("tasks") or {}
    if not isinstance(by_path, Mapping):
        raise DefinitionError(f"OPTIONS['tasks'] is a dictionary of paths of tasks, got {shown(by_path)}.")
    return {
        "retry": NEVER_AGAIN,
        **read_options(defaults, where="OPTIONS"),
        **getattr(function, ATTRIBUTE, {}),
        **read_options(by_path.get(path, {}), where=f"OPTIONS['tasks'][{path!r}]"),
    }


def key_of_arguments(arguments: str) -> str:
    """The unique key of a task that is unique and names no key: equal arguments have the same one."""
    return hashlib.blake2b(arguments.encode(), digest_size=16).hexdigest()


def _retry(given: Mapping[str, Any]) -> Retry:
    read = dict(given)
    for name in _SPANS:
        if isinstance(read.get(name), str):
            read[name] = parse_duration(read[name])
    for name in ("retry_on", "give_up_on"):
        if name in read:
            read[name] = tuple(import_string(one) if isinstance(one, str) else one for one in read[name])
    return Retry(**read)


def _unique(text: str) -> Unique:
    known = {"while_live": WHILE_LIVE, "forever": FOREVER}
    return known[text] if text in known else Within(parse_duration(text))
