"""Draws a record page on a terminal; ``Output.record`` calls it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import zip_longest

from rich.cells import cell_len
from rich.text import Text

from admin_cli.terminal.cells import aged, table_cell
from admin_cli.terminal.console import ENDLESS, TerminalConsole
from admin_cli.terminal.section import Section
from admin_cli.terminal.table import GAP, draw_table
from jobs.formats.escaping import escape_controls, escape_lines

INDENT = 2
MIN_VALUE_WIDTH = 20
"""The smallest width at which a value is wrapped; below it, wrapped text is unreadable."""


def write_page(sections: Sequence[Section], *, now: datetime | None, utc: bool) -> None:
    terminal_console = TerminalConsole.of(sys.stdout)
    moment = now or terminal_console.now()
    for place, section in enumerate(sections):
        if place:
            terminal_console.draw(Text())
        for line in _draw(section, terminal_console, now=moment, utc=utc):
            terminal_console.draw(line)


def _draw(section: Section, terminal_console: TerminalConsole, *, now: datetime, utc: bool) -> Iterator[Text]:
    if section.title:
        yield Text(escape_controls(section.title), style="bold")
    indent = " " * INDENT if section.title else ""
    width = (terminal_console.width or ENDLESS) - len(indent)
    yield from _draw_pairs(section, terminal_console, indent=indent, width=width, now=now, utc=utc)
    if section.rows:
        for line in draw_table(
            section.columns, section.rows, width=width, now=now, utc=utc, ellipsis=terminal_console.ellipsis
        ):
            yield Text(indent) + line
    for plain in escape_lines(section.text) if section.text else ():
        for part in _wrap(plain, terminal_console, max(width, MIN_VALUE_WIDTH)):
            yield Text(indent) + part


def _draw_pairs(
    section: Section, terminal_console: TerminalConsole, *, indent: str, width: int, now: datetime, utc: bool
) -> Iterator[Text]:
    names = [escape_controls(name) for name, _ in section.pairs]
    # Names can have any length: a name gets half the line, and wraps like a value.
    name_width = min(max((cell_len(name) for name in names), default=0), width // 2)
    room = max(width - name_width - GAP, MIN_VALUE_WIDTH)
    for name, (_, value) in zip(names, section.pairs, strict=True):
        labels = _wrap(name, terminal_console, name_width)
        parts = _wrap(_value(value, now=now, utc=utc), terminal_console, room)
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


def _wrap(text: str, terminal_console: TerminalConsole, width: int) -> list[Text]:
    if cell_len(text) <= width:
        return [Text(text)]
    lines = list(Text(text).wrap(terminal_console.console, width))
    for line in lines:
        line.rstrip()
    return lines
