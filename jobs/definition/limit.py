"""Limit: at most so many runs perform at once, over all processes."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.errors import DefinitionError
from jobs.formats.shown import shown

MAX_LIMIT_NAME = 100
MAX_MOST = 1_000_000
"""Source: decision; more leases than any ledger has at once."""


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``most`` runs perform at once, over all processes; what exceeds that is parked, uncharged and untried.

    Args:
        most: 1 to 1,000,000.
        by: the field, or the method without arguments, whose value is the key: each key has its own ``most``. Without
            it, the limit is for all.
        name: kinds with a limit of one name share it. Without it, the limit is the kind's own, named like the kind.

    Raises:
        DefinitionError: a value is out of range.
    """

    most: int
    by: str | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        check_most(self.most)
        check_key_and_name("Limit", self.by, self.name)

    def __str__(self) -> str:
        return f"{self.most:,}"


def check_key_and_name(what: str, by: object, name: object) -> None:
    """Refuse a ``by`` that names no field, and a name that is no text.

    Raises:
        DefinitionError: one of both.
    """
    if by is not None and (not isinstance(by, str) or not by.isidentifier()):
        raise DefinitionError(f"{what}(by=…) takes the name of a field or of a method, got {shown(by)}.")
    if name is not None and not isinstance(name, str):
        raise DefinitionError(f"{what}(name=…) takes text, got {shown(name)}.")


def check_most(most: object) -> None:
    """Refuse a number of runs that no limit can have.

    Raises:
        DefinitionError: it is none of 1 to 1,000,000.
    """
    if type(most) is not int or not 1 <= most <= MAX_MOST:
        hint = "To perform nothing, pause the kind or the queue: jobledger kinds pause NAME." if most == 0 else None
        raise DefinitionError(f"A limit takes a whole number from 1 to {MAX_MOST:,}, got {shown(most)}.", hint=hint)
