"""Limits of a job class: how many of its runs may perform at once, and start within a span, in all processes together.

>>> class Charge(Job, limits=[Limit(5, by="account"), Rate(600, per=timedelta(minutes=1), name="stripe")]): ...

A claim needs the keys of a run, and code that ends attempts needs to know whether a kind has limits: both read here.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

from jobs.definition import registry
from jobs.definition.arguments import read_arguments
from jobs.definition.limit import MAX_LIMIT_NAME, Limit
from jobs.definition.options import Options, check_name
from jobs.definition.rate import Rate
from jobs.errors import DefinitionError

log = logging.getLogger("jobs.limits")

MAX_SHOWN_KEY = 200
KNOWN_KEYS = 10_000
"""Keys whose digests a process remembers. Source: decision; about 5 MB."""
UNKNOWN_KEY = "(unknown)"
"""The key of runs whose key cannot be computed: they share one, so that a mistake never lifts a limit."""


class LimitKey(NamedTuple):
    """One limit as it applies to one run. ``digest`` is of its key, empty for a limit without one.

    It has a number of runs at once, or a rate.
    """

    name: str
    digest: str
    key: str | None
    most: int | None
    rate: Rate | None = None


limited_kinds: dict[str, tuple[Limit | Rate, ...]] = {}
"""The kinds of this process that have limits, also by their former names; each limit has its name."""


def check_limits(cls: Any, options: Options, place: str) -> tuple[Limit | Rate, ...]:
    """The limits of a job class, each with its name.

    Raises:
        DefinitionError: a ``by`` that is neither a field nor a method, two limits or two rates of one name, a limit
            and a rate of one name with different keys, or a name that another kind declares with other values.
    """
    named = tuple(_named(limit, cls, options, place) for limit in options.limits)
    for number, limit in enumerate(named):
        for other in named[:number]:
            _check_pair(limit, other, place)
    ours = {options.kind, *options.aliases}
    for kind, theirs in limited_kinds.items():
        for one in theirs:
            same = next((limit for limit in named if limit.name == one.name and type(limit) is type(one)), None)
            if kind not in ours and same is not None and _values_of(same) != _values_of(one):
                raise DefinitionError(
                    f"The {_what(one)} {one.name!r} is {_words(same)} in job {place}, and {_words(one)} in the kind "
                    f"{kind}.",
                    hint="Declare it once, as a constant that both classes use; or give one of them another name.",
                )
    return named


def record_limits(options: Options, named: tuple[Limit | Rate, ...]) -> None:
    """Let claims of a kind, also by its former names, apply these limits."""
    for kind in (options.kind, *options.aliases):
        limited_kinds.pop(kind, None)
        if named:
            limited_kinds[kind] = named


def limits_of(kinds: Sequence[str]) -> list[Limit | Rate]:
    """The limits and rates that these kinds declare here, each name once."""
    every = [limit for kind in kinds for limit in limited_kinds.get(kind, ())]
    return list({(type(limit), limit.name): limit for limit in every}.values())


def has_rate(kind: str) -> bool:
    """Whether runs of this kind need slots of a rate."""
    return any(isinstance(limit, Rate) for limit in limited_kinds.get(kind, ()))


def keys_of(kind: str, arguments: str, version: int) -> list[LimitKey]:
    """The limits that apply to a run, with its keys."""
    limits = limited_kinds.get(kind, ())
    values = _values(kind, arguments, version) if any(limit.by is not None for limit in limits) else None
    return [_key_of(limit, values) for limit in limits]


def digest_of(value: Any) -> str:
    """The digest by which the ledger knows a key: of its text, so that an operator can name the key 42 as ``42``."""
    return _key_parts(value)[0]


def text_of(value: Any) -> str:
    """A key as text."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)


def value_key(kind: str, arguments: str, version: int, *, by: str, of: str) -> tuple[str, str]:
    """The digest of a run's value of the field or method ``by``, and the value as it is shown. Raises nothing.

    Args:
        of: the name of what the key belongs to, for the log.
    """
    try:
        value = value_of(kind, arguments, version, by)
    except Exception:
        log.exception("Key of a breaker cannot be computed", extra={"breaker": of})
        return digest_of(UNKNOWN_KEY), UNKNOWN_KEY
    return digest_of(value), text_of(value)[:MAX_SHOWN_KEY]


def value_of(kind: str, arguments: str, version: int, by: str) -> Any:
    """A run's value of the field or method ``by``. Raises whatever its code raises."""
    return _values(kind, arguments, version)(by)


def check_by(cls: Any, by: str | None, what: str) -> None:
    """Refuse a ``by`` that is neither a field of the class nor a method; of an actor, that is no parameter.

    Raises:
        DefinitionError: it is neither; ``what`` begins the message.
    """
    of_actor = getattr(cls, "_key_fields", None)
    fields = cls.model_fields if of_actor is None else of_actor()
    if by is not None and by not in fields and (of_actor is not None or not callable(getattr(cls, by, None))):
        wanted = "is neither a field nor a method" if of_actor is None else "is no parameter"
        raise DefinitionError(
            f"{what} is by {by!r}, which {wanted}.",
            hint=f"{'Its fields are' if of_actor is None else 'Its parameters are'}: {', '.join(fields) or 'none'}.",
        )


def _key_of(limit: Limit | Rate, values: Callable[[str], Any] | None) -> LimitKey:
    assert limit.name is not None
    most, rate = (limit.most, None) if isinstance(limit, Limit) else (None, limit)
    if limit.by is None or values is None:
        return LimitKey(limit.name, "", None, most, rate)
    try:
        value = values(limit.by)
    except Exception:
        log.exception("Key of a limit cannot be computed", extra={"limit": limit.name})
        return LimitKey(limit.name, digest_of(UNKNOWN_KEY), UNKNOWN_KEY, most, rate)
    is_short = type(value) is int or (type(value) is str and len(value) <= MAX_SHOWN_KEY)
    digest, shown = _known_key_parts(value) if is_short else _key_parts(value)
    return LimitKey(limit.name, digest, shown, most, rate)


def _key_parts(value: Any) -> tuple[str, str]:
    """The digest of a key, and what is shown of it."""
    text = text_of(value)
    digest = hashlib.blake2b(text.encode(errors="replace"), digest_size=16).hexdigest()
    return digest, text[:MAX_SHOWN_KEY]


# Claims meet the same keys again and again. Only of numbers and short texts: True equals 1 and is another key.
_known_key_parts = lru_cache(maxsize=KNOWN_KEYS)(_key_parts)


def _values(kind: str, arguments: str, version: int) -> Callable[[str], Any]:
    """Reads one value of a run by its name: the stored JSON if it has the field, else the job that the class makes."""
    cls = registry.find(kind)
    of_actor = getattr(cls, "_key_value", None)
    if of_actor is not None:
        return lambda name: of_actor(arguments, name)
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


def _named(limit: Limit | Rate, cls: Any, options: Options, place: str) -> Limit | Rate:
    check_by(cls, limit.by, f"A {_what(limit)} of job {place}")
    name = check_name(limit.name or options.kind, what=_what(limit), longest=MAX_LIMIT_NAME)
    return replace(limit, name=name)


def _check_pair(limit: Limit | Rate, other: Limit | Rate, place: str) -> None:
    if limit.name != other.name:
        return
    if type(limit) is type(other):
        raise DefinitionError(
            f"Job {place} has two {_what(limit)}s called {limit.name!r}.",
            hint=f"Give each a name of its own: {type(limit).__name__}(5, …, name='…').",
        )
    if limit.by is not None and other.by is not None and limit.by != other.by:
        raise DefinitionError(
            f"Job {place} has a limit and a rate called {limit.name!r}, one by {limit.by!r} and one by {other.by!r}.",
            hint="Give one of them another name, since a name has one set of keys.",
        )


def _values_of(limit: Limit | Rate) -> tuple[Any, ...]:
    numbers = (limit.most,) if isinstance(limit, Limit) else (limit.count, limit.per, limit.burst)
    return (*numbers, limit.by is None)


def _what(limit: Limit | Rate) -> str:
    return "limit" if isinstance(limit, Limit) else "rate"


def _words(limit: Limit | Rate) -> str:
    burst = f" in bursts of {limit.burst}" if isinstance(limit, Rate) and limit.burst is not None else ""
    return f"{limit}{burst} {'for all' if limit.by is None else 'for each key'}"
