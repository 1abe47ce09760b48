"""Stand-ins for stored values that cannot be read, so that the rest of the row can be read.

A row may be written by hand, by another program, or by a faulty disk: PostgreSQL stores ``infinity`` and years before
Christ, SQLite stores any type in any column. Reading never fails for such a value. A stand-in has the right type, sorts
like the stored value, and shows what was stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID, uuid5

EARLIEST = datetime(1, 1, 3, tzinfo=UTC)
LATEST = datetime(9999, 12, 29, tzinfo=UTC)
"""Two days before the last moment that Python can hold, so that no time zone leads beyond it."""
MAX_SHOWN = 60
_NAMES = UUID("6f7d8a52-3d0f-5f0c-9d0e-2f1c0f6f9a11")


class UnreadableMoment(datetime):
    """Stands for a moment that cannot be read."""

    stored: str = ""

    @classmethod
    def at(cls, moment: datetime, stored: str) -> Self:
        made = cls(*moment.timetuple()[:6], tzinfo=UTC)
        made.stored = stored
        return made


class UnreadableId(UUID):
    """Stands for an id that cannot be read: the same stand-in for the same stored value."""

    __slots__ = ("stored",)
    stored: str


class UnreadableNumber(int):
    """Stands, as 0, for a whole number that cannot be read."""

    stored: str = ""


class UnreadableText(str):
    """Stands for a text that cannot be read; it shows what is stored."""

    __slots__ = ()

    @property
    def stored(self) -> str:
        return str(self)


def stand_in_for_moment(stored: Any) -> UnreadableMoment:
    """A moment that sorts as ``stored`` does in its database, to the year."""
    text = shown(stored)
    if isinstance(stored, int | float):
        return UnreadableMoment.at(EARLIEST, text)  # SQLite sorts numbers before texts, and texts before blobs.
    if isinstance(stored, bytes) or not text[:4].isdigit():
        is_early = isinstance(stored, str) and (text.startswith("-") or text.endswith(" BC") or text < "0")
        return UnreadableMoment.at(EARLIEST if is_early else LATEST, text)
    if text.endswith(" BC") or int(text[:4]) == 0:
        return UnreadableMoment.at(EARLIEST, text)
    if text[4:5].isdigit():
        return UnreadableMoment.at(LATEST, text)
    moment = datetime(int(text[:4]), 1, 1, tzinfo=UTC)
    return UnreadableMoment.at(min(max(moment, EARLIEST), LATEST), text)


def stand_in_for_id(stored: Any) -> UnreadableId:
    """A derived id for a stored value that is not an id."""
    made = UnreadableId(int=uuid5(_NAMES, repr(stored)).int)
    object.__setattr__(made, "stored", shown(stored))
    return made


def stand_in_for_number(stored: Any) -> UnreadableNumber:
    """0, with the stored value that is not a whole number."""
    made = UnreadableNumber(0)
    made.stored = shown(stored)
    return made


def stand_in_for_text(stored: Any) -> UnreadableText:
    """The stored value that is not text, as text."""
    return UnreadableText(shown(stored))


STAND_INS = frozenset({UnreadableMoment, UnreadableId, UnreadableNumber, UnreadableText})


def stored_of(value: Any) -> str | None:
    """The stored value of a stand-in; None if ``value`` is not a stand-in."""
    return str(value.stored) if type(value) in STAND_INS else None


def unreadable_in(names: Sequence[str], values: Sequence[Any]) -> dict[str, str]:
    """The names of those ``values`` that are stand-ins, with the stored values."""
    if STAND_INS.isdisjoint(map(type, values)):
        return {}
    return {name: value.stored for name, value in zip(names, values, strict=True) if type(value) in STAND_INS}


def shown(stored: Any) -> str:
    """The stored value, in the form that messages show."""
    text = f"blob {stored.hex()}" if isinstance(stored, bytes) else str(stored)
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"
