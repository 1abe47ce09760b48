"""The columns of a list, and which of them shrink on a narrow terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import click

Row = Any
"""A mapping, or an object with attributes, such as a dataclass of the operations."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a list.

    Attributes:
        name: its name in ``--columns``, in the TSV's header (upper case) and in JSON.
        value: row -> raw value (``datetime``, ``timedelta``, ``UUID``, number, text, list, None; never
            formatted: each format does that itself). Default: the row's field of that name.
        is_id: shown by its last eight characters in a table, in full elsewhere; ``-o name`` prints the first.
        is_wide: left out of a terminal's table unless ``-o wide`` or ``--columns`` ask for it.
        gives: shrink order in a table that is too wide: the highest is cut first, down to ``min_width``, and
            then hidden; 0 is never hidden.
        min_width: the smallest useful width in cells.
        paint: raw value -> a rich style ("red", "dim"), or None.
        heading: the header in a terminal's table, if not the name (``AGE`` for ``created_at``).
    """

    name: str
    value: Callable[[Row], object] | None = None
    is_id: bool = False
    is_wide: bool = False
    gives: int = 0
    min_width: int = 8
    paint: Callable[[object], str | None] | None = None
    heading: str | None = None

    @property
    def header(self) -> str:
        return self.name.upper()

    def of(self, row: Row) -> object:
        """The raw value of this column in ``row``."""
        if self.value is not None:
            return self.value(row)
        return row.get(self.name) if isinstance(row, Mapping) else getattr(row, self.name)


STATE_STYLES: dict[str, str] = {
    "succeeded": "green",
    "running": "cyan",
    "retrying": "yellow",
    "parked": "yellow",
    "waiting": "yellow",
    "dead": "red",
    "cancelled": "dim",
}


def paint_state(value: object) -> str | None:
    """The colour of a run's state; for ``Column(paint=paint_state)``."""
    return STATE_STYLES.get(str(value))


@dataclass(frozen=True, slots=True)
class SortKey:
    """One part of ``--sort``: ``-created`` sorts by ``created``, descending."""

    column: Column
    is_descending: bool = False


def pick_columns(columns: Sequence[Column], names: str | None, *, option: str = "--columns") -> list[Column]:
    """The columns in ``names`` (``a,b``), in that order; all columns for None.

    Raises:
        click.UsageError: a name is unknown, or ``names`` is empty.
    """
    if names is None:
        return list(columns)
    by_name = {column.name: column for column in columns}
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if not wanted:
        raise click.UsageError(f"{option} names no column. Columns: {', '.join(by_name)}")
    unknown = [name for name in wanted if name not in by_name]
    if unknown:
        raise click.UsageError(f"{option}: no column {unknown[0]!r}. Columns: {', '.join(by_name)}")
    return [by_name[name] for name in dict.fromkeys(wanted)]


def sort_keys(columns: Sequence[Column], names: str | None) -> tuple[SortKey, ...]:
    """``--sort -created,kind`` as keys.

    Raises:
        click.UsageError: as ``pick_columns``.
    """
    if names is None:
        return ()
    parts = [name.strip() for name in names.split(",") if name.strip()]
    plain = ",".join(part.removeprefix("-") for part in parts)
    picked = pick_columns(columns, plain, option="--sort")
    descending = {part.removeprefix("-"): part.startswith("-") for part in parts}
    return tuple(SortKey(column, descending[column.name]) for column in picked)


def sort_rows(rows: Sequence[Row], keys: Sequence[SortKey]) -> list[Row]:
    """``rows`` by ``keys``, stable; rows without a value come last in both directions."""
    ordered = list(rows)
    for key in reversed(keys):
        valued = [row for row in ordered if key.column.of(row) is not None]
        empty = [row for row in ordered if key.column.of(row) is None]

        def weight(row: Row, column: Column = key.column) -> Any:
            return column.of(row)

        try:
            valued.sort(key=weight, reverse=key.is_descending)
        except TypeError:
            # Values of mixed types, or without an order, sort by their text.
            valued.sort(key=lambda row, column=key.column: str(column.of(row)), reverse=key.is_descending)  # type: ignore[misc]
        ordered = valued + empty
    return ordered


Format = Literal["table", "wide", "json", "jsonl", "tsv", "name"]
FORMATS: tuple[Format, ...] = ("table", "wide", "json", "jsonl", "tsv", "name")
