"""A record page drawn on a terminal. ``Output.record`` is the door; the pages' shape is in ``record.py``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import zip_longest

from rich.cells import cell_len
from rich.text import Text

from admin_cli.block import Block
from admin_cli.cells import aged, table_cell
from admin_cli.paper import ENDLESS, Paper
from admin_cli.table import GAP, draw_table
from jobs.visible import visible, visible_lines

INDENT = 2
MIN_VALUE_WIDTH = 20
"""Narrower than this a value is not wrapped, for it would be a column of syllables."""


def write_page(blocks: Sequence[Block], *, now: datetime | None, utc: bool) -> None:
    paper = Paper.of(sys.stdout)
    moment = now or paper.now()
    for place, block in enumerate(blocks):
        if place:
            paper.draw(Text())
        for line in _draw(block, paper, now=moment, utc=utc):
            paper.draw(line)


def _draw(block: Block, paper: Paper, *, now: datetime, utc: bool) -> Iterator[Text]:
    if block.title:
        yield Text(visible(block.title), style="bold")
    indent = " " * INDENT if block.title else ""
    width = (paper.width or ENDLESS) - len(indent)
    yield from _draw_pairs(block, paper, indent=indent, width=width, now=now, utc=utc)
    if block.rows:
        for line in draw_table(block.columns, block.rows, width=width, now=now, utc=utc, ellipsis=paper.ellipsis):
            yield Text(indent) + line
    for plain in visible_lines(block.text) if block.text else ():
        for part in _wrap(plain, paper, max(width, MIN_VALUE_WIDTH)):
            yield Text(indent) + part


def _draw_pairs(block: Block, paper: Paper, *, indent: str, width: int, now: datetime, utc: bool) -> Iterator[Text]:
    names = [visible(name) for name, _ in block.pairs]
    # A name may be as long as whoever wrote it liked; it gets half the line, and wraps like a value.
    name_width = min(max((cell_len(name) for name in names), default=0), width // 2)
    room = max(width - name_width - GAP, MIN_VALUE_WIDTH)
    for name, (_, value) in zip(names, block.pairs, strict=True):
        labels = _wrap(name, paper, name_width)
        parts = _wrap(_value(value, now=now, utc=utc), paper, room)
        for label, part in zip_longest(labels, parts, fillvalue=Text()):
            line = Text(indent)
            line.append(label.plain, style="dim")
            line.append(" " * (name_width - label.cell_len + GAP))
            line.append_text(part)
            line.rstrip()
            yield line


def _value(value: object, *, now: datetime, utc: bool) -> str:
    text = table_cell(value, now=now, is_id=False, is_wide=True, utc=utc)
    return f"{text} ({aged(value, now=now)})" if isinstance(value, datetime) else text


def _wrap(text: str, paper: Paper, width: int) -> list[Text]:
    if cell_len(text) <= width:
        return [Text(text)]
    lines = list(Text(text).wrap(paper.console, width))
    for line in lines:
        line.rstrip()
    return lines
