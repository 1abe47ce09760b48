"""Converts a job's arguments to JSON and back; refuses what would not read back equal."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Mapping, Set
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError

from jobs.definition.equality import equal, in_order
from jobs.errors import ArgumentsRefused
from jobs.fork_uses import serializer_uses
from jobs.formats.stored_reference import MARK, may_hold_packed, packed_in

MAX_DEPTH = 64
"""Deeper JSON is refused: parsers give up on it. Source: decision; parsers we tried stop between 100 and 1,000."""
MIN_INT, MAX_INT = -(2**63), 2**63 - 1
"""Whole numbers beyond 64 bits are refused: databases and other readers of the JSON cannot hold them."""

_PLAIN = (str, int, float, type(None))
_EXACT = frozenset((*_PLAIN, bool))
_LONG_NUMBER = re.compile(r"[0-9]{19}")
_SURROGATE = re.compile(r"(?<!\\)(?:\\\\)*\\u[dD][89a-fA-F]")
M = TypeVar("M", bound=BaseModel)
_READ = BaseModel.model_validate_json.__func__  # type: ignore[attr-defined]


def write_arguments(job: BaseModel, *, kind: str, max_bytes: int) -> str:
    """The arguments of ``job`` as JSON that reads back equal.

    Raises:
        ArgumentsRefused: they would not; ``field`` names the invalid one.
    """
    own = getattr(type(job), "_write_own", None)
    if own is not None:
        # A dramatiq message has its own format.
        return str(own(job, max_bytes))
    values = _values(job)
    has_sets = False
    for name, value in values.items():
        if type(value) in _EXACT:
            continue
        try:
            has_sets |= _contains_set(value, kind, name)
        except RecursionError:
            raise _refusal(kind, name, "is nested too deep, or holds itself") from None
    try:
        text = _dump(job)
        if has_sets:
            text = in_order(job, text)
    except (PydanticSerializationError, UnicodeEncodeError, ValueError, RecursionError) as error:
        raise _refusal(kind, _field_at_fault(job), f"cannot be written as JSON: {_first_line(error)}") from None
    check_json(text, what=f"Arguments of {kind}", max_bytes=max_bytes)
    refuse_packed(text, kind)
    try:
        back = _load(type(job), text)
        # Not by ==, which compares private attributes too: they are the object's own, and not stored.
        is_equal = equal(_values(back), values)
    except (ValidationError, ValueError, RecursionError):
        back, is_equal = None, False
    if not is_equal:
        raise _refusal(
            kind,
            _changed_field(job, back),
            "does not come back from JSON as it went in",
            "Use a type that JSON can carry whole: text, numbers, dates, lists, nested models of one type.",
        )
    return text


def read_arguments(cls: type[M], text: str, *, kind: str, upcast: Callable[[dict[str, Any]], Any] | None = None) -> M:
    """The job that stored arguments make; ``upcast`` converts those of an earlier version.

    Raises:
        ArgumentsRefused: they no longer fit the class; ``field`` names the first that does not.
    """
    try:
        if upcast is not None:
            text = json.dumps(upcast(json.loads(text)))
        return _load(cls, text)
    except ArgumentsRefused as error:
        raise ArgumentsRefused(error.message, field=error.field) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        field = ".".join(map(str, first["loc"])) or None
        raise ArgumentsRefused(
            f"Arguments of {kind} do not fit: {field or 'they'}: {first['msg']}.", field=field
        ) from None
    except Exception as error:
        raise ArgumentsRefused(
            f"Arguments of {kind} could not be brought up to this version: {type(error).__name__}: {error}."
        ) from error


def check_json(text: str, *, what: str, max_bytes: int) -> None:
    """Refuse JSON that the ledger cannot hold: too large, too deep, NUL, lone surrogates, numbers out of range, NaN.

    The rules are the same on every database, whatever it would accept itself.

    Raises:
        ArgumentsRefused: it breaks one of these rules.
    """
    try:
        size = len(text) if text.isascii() else len(text.encode())
    except UnicodeEncodeError:
        raise ArgumentsRefused(f"{what} hold half a character (a lone surrogate).", hint="Send whole text.") from None
    if size > max_bytes:
        raise ArgumentsRefused(
            f"{what} are {size:,} bytes, and {max_bytes:,} are allowed.",
            hint="Take a Stored argument, set JOBS_STORE_ABOVE, or raise JOBS_MAX_ARGUMENT_BYTES.",
        )
    if holds_nul(text):
        raise ArgumentsRefused(f"{what} hold a NUL character, which databases refuse.", hint="Remove it.")
    if text.count("[") + text.count("{") > MAX_DEPTH and _depth(text) > MAX_DEPTH:
        raise ArgumentsRefused(f"{what} are nested more than {MAX_DEPTH} deep.", hint="Flatten them.")
    # Before the checks that parse the whole text: Python reads no number of more than 4,300 digits.
    if _LONG_NUMBER.search(text):
        _refuse_long_numbers(text, what)
    if "\\u" in text and _SURROGATE.search(text) and _has_lone_surrogate(text):
        raise ArgumentsRefused(f"{what} hold half a character (a lone surrogate).", hint="Send whole text.")
    if "NaN" in text or "Infinity" in text:
        _refuse_constants(text, what)


def refuse_packed(text: str, kind: str) -> None:
    """Refuse arguments with a value that looks as if it were in a store, since it would be read from there.

    Raises:
        ArgumentsRefused: there is one.
    """
    if may_hold_packed(text):
        given = json.loads(text)
        for name, value in given.items() if isinstance(given, dict) else ():
            if packed_in(value) is not None:
                raise _refusal(kind, name, f"has the form of a value in a store: {{{MARK!r}: …}}", "Wrap it in a list.")


def holds_nul(text: str) -> bool:
    """Whether JSON has an escaped NUL; an escaped backslash before ``u0000`` is not one."""
    return "\\u0000" in text and re.search(r"(?<!\\)(\\\\)*\\u0000", text) is not None


def _depth(text: str) -> int:
    deepest = depth = 0
    for part in re.finditer(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', text):
        sign = part.group()
        if sign in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif sign in "]}":
            depth -= 1
    return deepest


def _has_lone_surrogate(text: str) -> bool:
    try:
        json.dumps(json.loads(text), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _refuse_constants(text: str, what: str) -> None:
    def constant(name: str) -> None:
        raise ArgumentsRefused(f"{what} hold {name}, which is not JSON.", hint="Send None, or text.")

    json.loads(text, parse_constant=constant)


def _refuse_long_numbers(text: str, what: str) -> None:
    def whole(digits: str) -> int:
        if len(digits) > 20 or not MIN_INT <= int(digits) <= MAX_INT:
            raise ArgumentsRefused(f"{what} hold a whole number beyond 64 bits.", hint="Send it as text.")
        return int(digits)

    json.loads(text, parse_int=whole)


def _dump(job: BaseModel, **only: Any) -> str:
    """JSON by the fields' own names, not their aliases, because operators see the names and select by them."""
    with serializer_uses:
        if only or type(job).model_dump_json is not BaseModel.model_dump_json:
            return job.model_dump_json(round_trip=True, by_alias=False, warnings=False, **only)
        # What pydantic's own method does, in half its time.
        return job.__pydantic_serializer__.to_json(job, round_trip=True, by_alias=False, warnings=False).decode()


def reads_itself(cls: type[BaseModel]) -> bool:
    """Whether a class has a ``model_validate_json`` of its own."""
    return getattr(cls.model_validate_json, "__func__", None) is not _READ


def _load(cls: type[M], text: str) -> M:
    """Accepts aliases too, so that an old name (``AliasChoices``) still reads what was stored under it."""
    with serializer_uses:
        if reads_itself(cls):
            return cls.model_validate_json(text, by_name=True, by_alias=True)
        # What pydantic's own method does, in less time: every run that is performed is read.
        return cast(M, cls.__pydantic_validator__.validate_json(text, by_name=True, by_alias=True))


def _values(job: BaseModel) -> dict[str, Any]:
    """The fields, and the extra values that ``extra="allow"`` accepted."""
    names, values = type(job).__pydantic_fields__, dict(job.__dict__)
    if values.keys() != names.keys():  # A cached property is in __dict__ too, and a field may be missing there.
        values = {name: getattr(job, name) for name in names}
    return {**values, **job.__pydantic_extra__} if job.__pydantic_extra__ else values


def _contains_set(value: Any, kind: str, field: str) -> bool:
    """Whether ``value`` contains a set, which JSON writes in another order in each process.

    Raises:
        ArgumentsRefused: it contains a datetime without a time zone.
    """
    if isinstance(value, _PLAIN):
        return False
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise _refusal(kind, field, "is a datetime without a time zone", "Make it aware: datetime.now(UTC), say.")
        return False
    has_sets = isinstance(value, Set)
    if isinstance(value, Mapping):
        for key, one in value.items():
            has_sets |= _contains_set(key, kind, field) | _contains_set(one, kind, field)
    elif isinstance(value, list | tuple | Set | deque):
        for one in value:
            if not isinstance(one, _PLAIN):
                has_sets |= _contains_set(one, kind, field)
    elif isinstance(value, BaseModel):
        for name, one in _values(value).items():
            has_sets |= _contains_set(one, kind, f"{field}.{name}")
    elif is_dataclass(value) and not isinstance(value, type):
        for part in fields(value):
            has_sets |= _contains_set(getattr(value, part.name, None), kind, f"{field}.{part.name}")
    return has_sets


def _field_at_fault(job: BaseModel) -> str | None:
    for name in type(job).model_fields:
        try:
            _dump(job, include={name})
        except Exception:
            return name
    return None


def _changed_field(job: BaseModel, back: BaseModel | None) -> str | None:
    if back is not None:
        now, then = _values(back), _values(job)
        return next((name for name in then if name not in now or not equal(now[name], then[name])), None)
    try:
        _load(type(job), _dump(job))
    except ValidationError as error:
        return ".".join(map(str, error.errors()[0]["loc"])) or None
    except ValueError:
        return None
    return None


def _refusal(kind: str, field: str | None, why: str, hint: str | None = None) -> ArgumentsRefused:
    where = f"Argument {field!r}" if field else "An argument"
    return ArgumentsRefused(f"{where} of {kind} {why}.", field=field, hint=hint)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
