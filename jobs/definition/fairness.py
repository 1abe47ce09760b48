"""Fair turns of a job class: the field that names a run's tenant, and how many turns a tenant has.

>>> class Export(Job, fair_by="tenant", fair_weight="weight"):
...     tenant: str
...     def weight(self) -> int:
...         return 3 if self.tenant == "acme" else 1
"""

from __future__ import annotations

import enum
import logging
import types
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, ForwardRef, Literal, NamedTuple, Union, get_args, get_origin
from uuid import UUID

from pydantic.fields import FieldInfo

from jobs.definition.limits import check_by, digest_of, value_of
from jobs.definition.options import Options
from jobs.errors import DefinitionError
from jobs.formats.shown import shown

log = logging.getLogger("jobs.fairness")

MAX_TENANT = 100
"""Most characters of a tenant; a longer value is known by its digest."""
MAX_WEIGHT = 1000
UNKNOWN_TENANT = "(unknown)"
_SHORT = (int, bool, UUID, date, datetime, enum.Enum)
"""Types whose values are short as text."""


class Fair(NamedTuple):
    """By what the runs of a kind take turns, and how many turns a tenant has: a number, a field or a method."""

    by: str
    weight: int | str | Mapping[str, int]


fair_kinds: dict[str, Fair] = {}
"""The kinds of this process whose tenants take turns, also by their former names."""


def check_fair(cls: Any, options: Options, place: str) -> Fair | None:
    """The fair turns of a job class.

    Raises:
        DefinitionError: ``fair_by`` names neither a field nor a method, or a field that holds more than a name; or
            ``fair_weight`` is out of range, or given without ``fair_by``.
    """
    by, weight = options.fair_by, options.fair_weight
    if by is None:
        if weight is not None:
            raise DefinitionError(
                f"Job {place} has fair_weight without fair_by.", hint="Say by what its tenants take turns: fair_by='…'."
            )
        return None
    check_by(cls, by, f"The fair_by of job {place}")
    field = cls.model_fields.get(by)
    if field is not None and not _is_short(field.annotation, field.metadata):
        raise DefinitionError(
            f"Job {place} is fair_by {by!r}, a field that names no tenant: {_named(field)}.",
            hint="Take a field of text, a whole number or an enumeration, or a method that returns the tenant.",
        )
    weight = 1 if weight is None else weight
    if isinstance(weight, str):
        check_by(cls, weight, f"The fair_weight of job {place}")
    for one in weight.values() if isinstance(weight, Mapping) else () if isinstance(weight, str) else (weight,):
        if type(one) is not int or not 1 <= one <= MAX_WEIGHT:
            raise DefinitionError(
                f"Option fair_weight of job {place} takes whole numbers from 1 to {MAX_WEIGHT:,}, got {shown(one)}."
            )
    return Fair(by, weight)


def record_fair(options: Options, fair: Fair | None) -> None:
    """Let enqueues and claims of a kind, also by its former names, take turns."""
    for kind in (options.kind, *options.aliases):
        fair_kinds.pop(kind, None)
        if fair is not None:
            fair_kinds[kind] = fair


def tenant_of(kind: str, arguments: str, version: int) -> str | None:
    """The tenant of a run, as the ledger knows it; None if its kind has no fair turns here. Raises nothing."""
    fair = fair_kinds.get(kind)
    if fair is None:
        return None
    try:
        value = value_of(kind, arguments, version, fair.by)
    except Exception:
        log.exception("Tenant of a run cannot be computed", extra={"kind": kind})
        return UNKNOWN_TENANT
    text = _text(value)
    return text if len(text) <= MAX_TENANT else digest_of(text)


def weight_of(kind: str, arguments: str, version: int) -> float:
    """How many turns the tenant of a run has, for each turn of a tenant of weight 1. Raises nothing."""
    fair = fair_kinds.get(kind)
    if fair is None or fair.weight == 1:
        return 1.0
    if isinstance(fair.weight, int):
        return float(fair.weight)
    try:
        if isinstance(fair.weight, str):
            found = value_of(kind, arguments, version, fair.weight)
        else:
            found = fair.weight.get(_text(value_of(kind, arguments, version, fair.by)), 1)
        return float(min(max(found, 1), MAX_WEIGHT))
    except Exception:
        log.exception("Weight of a tenant cannot be computed", extra={"kind": kind})
        return 1.0


def _text(value: Any) -> str:
    text = str(value)
    # The database stores no NUL, and an empty text is the level itself.
    return text.replace("\0", "�") if text else "(empty)"


def _is_short(annotation: Any, metadata: Iterable[Any] = ()) -> bool:
    """Whether the values of a field name tenants: text, or what is short as text."""
    origin = get_origin(annotation)
    if origin is Literal or annotation is type(None):
        return True
    if origin in (Union, types.UnionType):
        return all(_is_short(one, metadata) for one in get_args(annotation))
    if origin is not None and hasattr(annotation, "__metadata__"):
        inner, *more = get_args(annotation)
        return _is_short(inner, [*metadata, *more])
    if isinstance(annotation, str | ForwardRef):
        return True  # Not known yet. What is longer at run time is known by its digest.
    if not isinstance(annotation, type):
        return False
    if issubclass(annotation, str) or annotation in _SHORT:
        return True  # A longer text is known by its digest.
    if issubclass(annotation, Decimal):
        return any(_longest(one) <= MAX_TENANT for one in metadata)
    return issubclass(annotation, _SHORT)


def _longest(one: Any) -> float:
    if isinstance(one, FieldInfo):
        return min((_longest(inner) for inner in one.metadata), default=float("inf"))
    return float(getattr(one, "max_length", None) or getattr(one, "max_digits", None) or "inf")


def _named(field: FieldInfo) -> str:
    return getattr(field.annotation, "__name__", None) or str(field.annotation)
