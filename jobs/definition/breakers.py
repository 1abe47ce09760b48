"""Breakers of job classes: checked where a class is made, and read by claims and by the ends of attempts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from jobs.definition.breaker import Breaker
from jobs.definition.limit import MAX_LIMIT_NAME
from jobs.definition.limits import check_by, value_key
from jobs.definition.options import Options, check_name
from jobs.errors import DefinitionError


class Slice(NamedTuple):
    """The runs that one breaker stops together: all of its name, or those of one key.

    ``digest`` is of the key, empty without one.
    """

    name: str
    digest: str


guarded_kinds: dict[str, Breaker] = {}
"""The kinds of this process that have a breaker, also by their former names; each breaker has its name."""


def check_breaker(cls: Any, options: Options, place: str) -> Breaker | None:
    """The breaker of a job class, with its name.

    Raises:
        DefinitionError: a ``by`` that is neither a field nor a method, or a name that another kind declares with other
            values.
    """
    if options.breaker is None:
        return None
    check_by(cls, options.breaker.by, f"The breaker of job {place}")
    name = check_name(options.breaker.name or options.kind, what="breaker", longest=MAX_LIMIT_NAME)
    named = replace(options.breaker, name=name)
    ours = {options.kind, *options.aliases}
    for kind, other in guarded_kinds.items():
        is_same = replace(other, by=named.by) == named and (other.by is None) == (named.by is None)
        if kind not in ours and other.name == name and not is_same:
            raise DefinitionError(
                f"The breaker {name!r} of job {place} differs from the one of the kind {kind}.",
                hint="Declare it once, as a constant that both classes use; or give one of them another name.",
            )
    return named


def record_breaker(options: Options, named: Breaker | None) -> None:
    """Let claims and ended attempts of a kind, also by its former names, apply this breaker."""
    for kind in (options.kind, *options.aliases):
        guarded_kinds.pop(kind, None)
        if named is not None:
            guarded_kinds[kind] = named


def breakers_of(kinds: Sequence[str]) -> list[Breaker]:
    """The breakers that these kinds declare here, each name once, by name."""
    found = {str(guarded_kinds[kind].name): guarded_kinds[kind] for kind in kinds if kind in guarded_kinds}
    return [found[name] for name in sorted(found)]


def slice_of(kind: str, arguments: str, version: int) -> tuple[Slice, str | None]:
    """The slice that a run of a guarded kind belongs to, and its key as it is shown."""
    breaker = guarded_kinds[kind]
    if breaker.by is None:
        return Slice(str(breaker.name), ""), None
    digest, key = value_key(kind, arguments, version, by=breaker.by, of=str(breaker.name))
    return Slice(str(breaker.name), digest), key
