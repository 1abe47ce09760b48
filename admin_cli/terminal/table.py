"""Draws a table that fits the terminal: measures widths in terminal cells, and shrinks the least important columns.

A table that is too wide shrinks the column with the highest ``gives`` first, down to its ``min_width``. If that is
not enough, it hides columns in the same order, and then cuts those that cannot be hidden. A row is one line.

Not by rich's ``Table``: it cannot hide columns in an order, and its import takes 12 ms more than the 61 ms of the
processor with which a command that prints a table starts. Source: measured, Python 3.11.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from admin_cli.terminal.cells import table_cell
from admin_cli.terminal.columns import Column, Row

GAP = 2
"""Space between two columns, in cells."""


def draw_table(
    columns: Sequence[Column],
    rows: Sequence[Row],
    *,
    width: int | None,
    now: datetime,
    headers: bool = True,
    is_wide: bool = False,
    utc: bool = False,
    ellipsis: str = "…",
) -> Iterator[Text]:
    """The lines of the table, none wider than ``width`` cells (None: no limit)."""
    values = [[column.of(row) for column in columns] for row in rows]
    texts = [
        [
            table_cell(value, now=now, is_id=column.is_id, is_wide=is_wide, utc=utc)
            for column, value in zip(columns, line, strict=True)
        ]
        for line in values
    ]
    # A heading such as AGE is right for ages only.
    heads = [column.header if is_wide or utc else column.heading or column.header for column in columns]
    natural = [
        max([cell_len(line[index]) for line in texts] + [cell_len(head) if headers else 0])
        for index, head in enumerate(heads)
    ]
    widths = fit(columns, natural, width)
    is_number = [
        all(isinstance(line[index], (int, float)) and not isinstance(line[index], bool) for line in values)
        for index in range(len(columns))
    ]
    shown = [index for index, cells in enumerate(widths) if cells > 0]

    def line_of(line: Sequence[str], styles: Sequence[str | None]) -> Text:
        text = Text()
        for place, index in enumerate(shown):
            is_last = place == len(shown) - 1
            cell = cut(line[index], widths[index], ellipsis=ellipsis)
            room = widths[index] - cell_len(cell)
            left = room if is_number[index] else 0
            right = 0 if is_last else room - left + GAP
            text.append(" " * left)
            text.append(cell, style=styles[index] or "")
            text.append(" " * right)
        text.rstrip()
        return text

    if headers:
        yield line_of(heads, ["bold"] * len(columns))
    for raw, line in zip(values, texts, strict=True):
        styles = [column.paint(value) if column.paint else None for column, value in zip(columns, raw, strict=True)]
        yield line_of(line, styles)


def fit(columns: Sequence[Column], natural: Sequence[int], width: int | None) -> list[int]:
    """The width of each column (0: hidden), so that all columns and gaps fit in ``width`` cells."""
    widths = list(natural)
    if width is None:
        return widths
    floors = [
        min(cells, column.min_width) if column.gives else cells for column, cells in zip(columns, natural, strict=True)
    ]
    # With equal `gives` the rightmost column shrinks first, because people read from the left.
    giving = sorted(range(len(columns)), key=lambda index: (columns[index].gives, index), reverse=True)
    giving = [index for index in giving if columns[index].gives > 0]
    # Hide columns first, so that the others can use their room.
    for index in giving:
        if _excess(floors, width) > 0:
            floors[index] = widths[index] = 0
    for index in giving:
        widths[index] = max(floors[index], widths[index] - max(0, _excess(widths, width)))
    while _excess(widths, width) > 0 and max(widths) > 1:
        # Columns that cannot be hidden are cut, the widest first.
        widest = max(range(len(widths)), key=lambda index: widths[index])
        widths[widest] -= 1
    return widths


def _excess(widths: Sequence[int], width: int) -> int:
    shown = [cells for cells in widths if cells > 0]
    return sum(shown) + GAP * (len(shown) - 1) - width


def cut(text: str, width: int, *, ellipsis: str = "…") -> str:
    """``text`` in at most ``width`` cells; an ellipsis replaces its end if it does not fit."""
    if cell_len(text) <= width:
        return text
    if width <= cell_len(ellipsis):
        return ellipsis[:width]
    return set_cell_size(text, width - cell_len(ellipsis)).rstrip() + ellipsis
