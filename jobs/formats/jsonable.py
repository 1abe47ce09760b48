"""Values of any kind in types that JSON has, for the command line's JSON and the pages."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from jobs.formats.unreadable import stored_of


def jsonable(value: object, *, span: Callable[[timedelta], object] = timedelta.total_seconds) -> Any:
    """``value`` in types that JSON has: UTC ISO-8601 moments, null for NaN and infinities, text for unknown types.

    Args:
        span: what a span becomes; seconds without it.
    """
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, Enum):
        return jsonable(value.value, span=span)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        # Null if it cannot be read, so that no program takes the replacement for the stored moment.
        return None if stored_of(value) is not None else iso(value.astimezone(UTC))
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return span(value)
    if isinstance(value, (UUID, Decimal)):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): jsonable(inner, span=span) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [jsonable(inner, span=span) for inner in value]
    if dataclasses.is_dataclass(value):
        return {one.name: jsonable(getattr(value, one.name), span=span) for one in dataclasses.fields(value)}
    return str(value)


def iso(moment: datetime) -> str:
    """``moment`` in ISO-8601, with ``Z`` for UTC."""
    return moment.isoformat().replace("+00:00", "Z")
