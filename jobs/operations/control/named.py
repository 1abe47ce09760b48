"""What the operations on limits and breakers share: both are found by name, and their keys are values of arguments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from jobs.definition.redaction import HIDDEN
from jobs.errors import NotFound
from jobs.formats.nearest import did_you_mean
from jobs.ledger.breakers.reports import BreakerRecord
from jobs.ledger.limits.reports import LimitRecord
from jobs.operations.audit.operator import Operator, Permission

Keyed = TypeVar("Keyed", LimitRecord, BreakerRecord)


def shown_keys(operator: Operator, keys: Sequence[Keyed]) -> list[Keyed]:
    """The keys, with their texts hidden from an operator who may not read arguments."""
    if operator.may(Permission.ARGUMENTS_READ):
        return list(keys)
    return [replace(one, key=HIDDEN) for one in keys]


def not_declared(what: str, message: str, name: str, known: Iterable[Keyed]) -> NotFound:
    """The error for a ``name`` that no limit or no breaker has."""
    otherwise = f"A {what} is known once a worker has started that declares it."
    return NotFound(message, hint=did_you_mean(name, [one.name for one in known], otherwise=otherwise))
