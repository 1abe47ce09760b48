"""Limits of a job class: how many of its runs may perform at once, in all processes together.

>>> class Charge(Job, limits=[Limit(5, by="account"), Limit(50, name="stripe")]): ...

A claim needs the keys of a run, and code that ends attempts needs to know whether a kind has limits: both read here.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from jobs.definition import registry
from jobs.definition.arguments import read_arguments
from jobs.definition.limit import MAX_LIMIT_NAME, Limit
from jobs.definition.options import Options, check_name
from jobs.errors import DefinitionError

log = logging.getLogger("jobs.limits")

MAX_SHOWN_KEY = 200
UNKNOWN_KEY = "(unknown)"
"""The key of runs whose key cannot be computed: they share one, so that a mistake never lifts a limit."""


class LimitKey(NamedTuple):
    """One limit as it applies to one run. ``digest`` is of its key, empty for a limit without one."""

    name: str
    digest: str
    key: str | None
    most: int


limited_kinds: dict[str, tuple[Limit, ...]] = {}
"""The kinds of this process that have limits, also by their former names; each limit has its name."""


def check_limits(cls: Any, options: Options, place: str) -> tuple[Limit, ...]:
    """The limits of a job class, each with its name.

    Raises:
        DefinitionError: a ``by`` that is neither a field nor a method, two limits of one name, or a name that another
            kind declares with other values.
    """
    named = tuple(_named(limit, cls, options, place) for limit in options.limits)
    names = [limit.name for limit in named]
    for name in names:
        if names.count(name) > 1:
            raise DefinitionError(
                f"Job {place} has two limits called {name!r}.", hint="Give each a name of its own: Limit(5, name='…')."
            )
    ours = {options.kind, *options.aliases}
    for kind, theirs in limited_kinds.items():
        for one in theirs:
            same = next((limit for limit in named if limit.name == one.name), None)
            if kind not in ours and same is not None and (same.most, same.by is None) != (one.most, one.by is None):
                raise DefinitionError(
                    f"The limit {one.name!r} is {_words(same)} in job {place}, and {_words(one)} in the kind {kind}.",
                    hint="Declare it once, as a constant that both classes use; or give one of them another name.",
                )
    return named


def record_limits(options: Options, named: tuple[Limit, ...]) -> None:
    """Let claims of a kind, also by its former names, apply these limits."""
    for kind in (options.kind, *options.aliases):
        limited_kinds.pop(kind, None)
        if named:
            limited_kinds[kind] = named


def limits_of(kinds: Sequence[str]) -> list[Limit]:
    """The limits that these kinds declare here, each name once."""
    return list({limit.name: limit for kind in kinds for limit in limited_kinds.get(kind, ())}.values())


def keys_of(kind: str, arguments: str, version: int) -> list[LimitKey]:
    """The limits that apply to a run, with its keys."""
    limits = limited_kinds.get(kind, ())
    values = _values(kind, arguments, version) if any(limit.by is not None for limit in limits) else None
    return [_key_of(limit, values) for limit in limits]


def digest_of(value: Any) -> str:
    """The digest by which the ledger knows a key: of its text, so that an operator can name the key 42 as ``42``."""
    text = value if isinstance(value, str) else _text(value)
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=16).hexdigest()


def _key_of(limit: Limit, values: Callable[[str], Any] | None) -> LimitKey:
    assert limit.name is not None
    if limit.by is None or values is None:
        return LimitKey(limit.name, "", None, limit.most)
    try:
        value = values(limit.by)
    except Exception:
        log.exception("Key of a limit cannot be computed", extra={"limit": limit.name})
        return LimitKey(limit.name, digest_of(UNKNOWN_KEY), UNKNOWN_KEY, limit.most)
    shown = value if isinstance(value, str) else _text(value)
    return LimitKey(limit.name, digest_of(value), shown[:MAX_SHOWN_KEY], limit.most)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)


def _values(kind: str, arguments: str, version: int) -> Callable[[str], Any]:
    """Reads one value of a run by its name: the stored JSON if it has the field, else the job that the class makes."""
    cls = registry.find(kind)
    stored = json.loads(arguments)
    made: list[Any] = []

    def read(name: str) -> Any:
        if cls is None:
            raise LookupError(f"this process does not know the kind {kind}")
        is_field = name in cls.model_fields
        if is_field and version == cls.options.version and name in stored:
            return stored[name]
        if not made:
            upcast = None if version == cls.options.version else lambda given: cls.upcast(given, version)
            made.append(read_arguments(cls, arguments, kind=kind, upcast=upcast))
        job = made[0]
        return job.model_dump(mode="json", include={name})[name] if is_field else getattr(job, name)()

    return read


def _named(limit: Limit, cls: Any, options: Options, place: str) -> Limit:
    by = limit.by
    if by is not None and by not in cls.model_fields:
        method = getattr(cls, by, None)
        if not callable(method):
            raise DefinitionError(
                f"A limit of job {place} is by {by!r}, which is neither a field nor a method.",
                hint=f"Its fields are: {', '.join(cls.model_fields) or 'none'}.",
            )
    name = check_name(limit.name or options.kind, what="limit", longest=MAX_LIMIT_NAME)
    return Limit(limit.most, by=by, name=name)


def _words(limit: Limit) -> str:
    return f"{limit.most} {'for all' if limit.by is None else 'for each key'}"
