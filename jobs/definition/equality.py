"""The canonical form of arguments, for unique keys and for the check that JSON carried them unchanged.

Sets have no order, numbers compare by value (``Decimal("1.0")`` equals ``Decimal("1.00")``), and aware moments are
compared in UTC: Python never calls a moment equal to one of another zone while the clocks show an hour twice (PEP 495).
docs/jobs.md has the table.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping, Set
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, RootModel

_TICK = timedelta(microseconds=1)
_ABSENT = object()
Leaf = Callable[[Any, Any], Any]


def canonical(value: Any, text: str) -> str:
    """Text that is the same for equal arguments, in every process.

    Args:
        value: the arguments: a job, or plain data.
        text: their JSON; values of types that we do not know are compared by it.
    """
    return _written(_walk(value, json.loads(text), _canonical_leaf))


def in_order(value: Any, text: str) -> str:
    """``text``, the JSON of ``value``, with the members of sets sorted: the same in every process."""
    ordered = _walk(value, json.loads(text), lambda _, plain: plain)
    return json.dumps(ordered, ensure_ascii=False, separators=(",", ":"))


def equal(one: Any, other: Any) -> bool:
    """Whether two values are equal; aware datetimes at any depth compare by their moment."""
    return bool(one == other) or bool(_settled(one) == _settled(other))


def _walk(value: Any, plain: Any, leaf: Leaf) -> Any:
    """``plain``, the JSON of ``value``, with ``leaf`` applied to each value without members, and sets sorted."""
    if isinstance(value, RootModel):
        return _walk(value.root, plain, leaf)
    if isinstance(plain, dict):
        if isinstance(value, Mapping) and len(value) == len(plain):
            pairs = zip(value.items(), plain.items(), strict=True)
            return {_name(leaf(key, name)): _walk(one, part, leaf) for (key, one), (name, part) in pairs}
        if isinstance(value, BaseModel) or is_dataclass(value):
            return {name: _walk(_part(value, name, part), part, leaf) for name, part in plain.items()}
    if isinstance(plain, list) and isinstance(value, list | tuple | deque | Set) and len(value) == len(plain):
        parts = [_walk(one, part, leaf) for one, part in zip(value, plain, strict=True)]
        return sorted(parts, key=_written) if isinstance(value, Set) else parts
    return leaf(value, plain)


def _part(value: Any, name: str, plain: Any) -> Any:
    """A field of a model; the JSON value for one that only the JSON has."""
    found = getattr(value, name, _ABSENT)
    return plain if found is _ABSENT else found


def _name(key: Any) -> str:
    return key if isinstance(key, str) else _written(key)


def _written(plain: Any) -> str:
    return json.dumps(plain, sort_keys=True, separators=(",", ":"))


def _canonical_leaf(value: Any, plain: Any) -> Any:
    key = getattr(type(value), "equality_key", None)
    if key is not None:
        # A stored value: its content counts, and not its id.
        return key(value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        return _moment_text(value)
    if isinstance(value, time) and (offset := value.utcoffset()) is not None:
        since = timedelta(hours=value.hour, minutes=value.minute, seconds=value.second, microseconds=value.microsecond)
        return f"time {(since - offset) // _TICK}"
    if isinstance(value, Decimal) and value.is_finite():
        return _decimal_text(value)
    # A whole float is equal to the integer, as far as JSON holds it: 1.0 is 1, and -0.0 is 0.
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return int(value)
    return plain


def _moment_text(moment: datetime) -> str:
    try:
        plain = moment.astimezone(UTC).replace(tzinfo=None)
    except OverflowError:
        # Within a day of the first or last moment of datetime.
        return f"moment {_ticks(moment)}"
    return f"{plain.isoformat()}Z"


def _ticks(moment: datetime) -> int:
    """Microseconds of UTC since the year 1, whatever ``fold`` the zone uses."""
    since = moment.replace(tzinfo=UTC) - datetime.min.replace(tzinfo=UTC)
    return (since - (moment.utcoffset() or timedelta(0))) // _TICK


def _decimal_text(number: Decimal) -> str:
    """The value of a finite number, from its digits, because Decimal rounds to its context."""
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    kept = "".join(map(str, digits)).lstrip("0")
    plain = kept.rstrip("0")
    if not plain:
        return "0"
    exponent += len(kept) - len(plain)
    whole = Decimal((sign, tuple(map(int, plain)), exponent))
    return format(whole, "f") if abs(exponent) < 100 else f"{'-' * sign}{plain}E{exponent}"


def _settled(value: Any) -> Any:
    """``value`` with each aware datetime replaced by its moment; only for comparing two such values."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return (datetime, _ticks(value))
    if isinstance(value, Mapping):
        return {_settled(key): _settled(one) for key, one in value.items()}
    if isinstance(value, Set):
        return frozenset(map(_settled, value))
    if isinstance(value, list | deque):
        return (type(value), [_settled(one) for one in value])
    if isinstance(value, tuple):
        return (type(value), tuple(map(_settled, value)))
    if isinstance(value, BaseModel):
        parts = {name: getattr(value, name, None) for name in type(value).__pydantic_fields__}
        parts |= {**(value.model_extra or {}), **(value.__pydantic_private__ or {})}
        return (type(value), tuple((name, _settled(one)) for name, one in parts.items()))
    if is_dataclass(value) and not isinstance(value, type):
        return (type(value), tuple((one.name, _settled(getattr(value, one.name, None))) for one in fields(value)))
    return value
