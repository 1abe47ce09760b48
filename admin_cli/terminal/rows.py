"""Writes a list of rows in each format; ``Output.rows`` calls it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from admin_cli.terminal import streams
from admin_cli.terminal.cells import json_text, tsv_cell
from admin_cli.terminal.columns import Column, Row
from admin_cli.terminal.section import PageOptions
from jobs.formats.jsonable import jsonable

AsJson = Callable[[Row], Mapping[str, object]]


def write_rows(
    out: PageOptions,
    rows: Iterable[Row],
    *,
    next_cursor: str | None,
    empty: str,
    as_json: AsJson | None,
    meta: Mapping[str, object] | None,
    now: datetime | None,
) -> None:
    """Like ``Output.rows``, which has sorted the rows."""
    to_json = as_json or (lambda row: {column.name: column.of(row) for column in out.columns})
    match out.format:
        case "json":
            streams.write(envelope([to_json(row) for row in rows], next_cursor=next_cursor, meta=meta))
            return
        case "jsonl":
            for row in rows:
                streams.write(json_text(to_json(row)) + "\n")
        case "name":
            _write_names(out.columns, rows)
        case "tsv":
            write_tsv(out.columns, rows, headers=out.headers, utc=out.utc)
        case _:
            _write_table(out, list(rows), empty=empty, now=now)
    if next_cursor is not None:
        streams.flush()
        streams.write_message(f"more: --cursor {next_cursor}")


def envelope(data: object, *, next_cursor: str | None = None, meta: Mapping[str, object] | None = None) -> str:
    """The API's envelope: ``{data, error, meta, pagination}``; ``pagination`` is null for a single record."""
    is_list = isinstance(data, list)
    whole = {
        "data": jsonable(data),
        "error": None,
        "meta": jsonable(meta or {}),
        "pagination": {"next": next_cursor} if is_list else None,
    }
    return json_text(whole, indent=2) + "\n"


def write_tsv(columns: Sequence[Column], rows: Iterable[Row], *, headers: bool, utc: bool) -> None:
    """Tab-separated values, one line per row, nothing cut."""
    if headers:
        streams.write("\t".join(column.header for column in columns) + "\n")
    for row in rows:
        streams.write("\t".join(tsv_cell(column.of(row), utc=utc) for column in columns) + "\n")


def _write_names(columns: Sequence[Column], rows: Iterable[Row]) -> None:
    named = next((column for column in columns if column.is_id), columns[0])
    for row in rows:
        streams.write(tsv_cell(named.of(row), utc=True) + "\n")


def _write_table(out: PageOptions, rows: list[Row], *, empty: str, now: datetime | None) -> None:
    if not rows:
        streams.write_message(f"{empty}.")
        return
    from admin_cli.terminal.console import TerminalConsole
    from admin_cli.terminal.table import draw_table

    terminal_console = TerminalConsole.of(sys.stdout)
    is_wide = out.format == "wide"
    columns = [column for column in out.columns if is_wide or out.is_chosen or not column.is_wide]
    for line in draw_table(
        columns,
        rows,
        width=None if is_wide else terminal_console.width,
        now=now or terminal_console.now(),
        headers=out.headers,
        is_wide=is_wide,
        utc=out.utc,
        ellipsis=terminal_console.ellipsis,
    ):
        terminal_console.draw(line)
