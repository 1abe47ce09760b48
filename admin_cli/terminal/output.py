"""Prints the data of commands: a table on a terminal, tab-separated text in a pipe, JSON for programs.

A list::

    COLUMNS = (
        Column("id", is_id=True),
        Column("kind", gives=2),
        Column("state", paint=paint_state),
        Column("created_at", heading="AGE"),
        Column("error", gives=3, is_wide=True),
    )

    @click.command("list")
    @output_options(COLUMNS)
    @pass_globals
    def command(options: Globals, out: Output) -> None:
        page = find_runs(...)
        out.rows(page.runs, next_cursor=page.next_cursor)

A single record: ``record_options()``, then ``out.record(...)`` (see ``record.py``). No other module prints data.
rich is imported only to draw a table or a record page.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

import click

from admin_cli.terminal import streams
from admin_cli.terminal.columns import FORMATS, Column, Format, Row, SortKey, pick_columns, sort_keys, sort_rows

if TYPE_CHECKING:
    from admin_cli.terminal.section import Section

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Output:
    """The output options of a command.

    Attributes:
        format: never None; default: a table on a terminal, else TSV.
        columns: the columns to show, in order; ``--columns`` is applied.
        sort: ``--sort``; ``rows`` sorts by it unless the ledger already did.
        is_chosen: the user named the columns, so a table shows them all.
    """

    format: Format
    columns: tuple[Column, ...] = ()
    sort: tuple[SortKey, ...] = ()
    is_chosen: bool = False
    headers: bool = True
    utc: bool = False

    @property
    def is_json(self) -> bool:
        return self.format in ("json", "jsonl")

    def rows(
        self,
        rows: Iterable[Row],
        *,
        next_cursor: str | None = None,
        empty: str = "nothing matches",
        as_json: Callable[[Row], Mapping[str, object]] | None = None,
        meta: Mapping[str, object] | None = None,
        is_sorted: bool = False,
        now: datetime | None = None,
    ) -> None:
        """Print a list.

        Args:
            rows: may be a generator: TSV, JSON lines and names are written as they come.
            next_cursor: start of the next page; in the JSON envelope, else a line on stderr.
            empty: message on stderr when a table has no rows.
            as_json: the whole resource, for JSON without ``--columns``; default: the columns' raw values.
            meta: the JSON envelope's ``meta``.
            is_sorted: the rows are already in the order of ``--sort``.
            now: the moment that ages count from; default: the clock's.
        """
        from admin_cli.terminal import rows as writers

        if self.sort and not is_sorted:
            rows = sort_rows(list(rows), self.sort)
        writers.write_rows(
            self,
            rows,
            next_cursor=next_cursor,
            empty=empty,
            as_json=None if self.is_chosen else as_json,
            meta=meta,
            now=now,
        )

    def record(
        self,
        sections: Sequence[Section],
        *,
        data: Mapping[str, object],
        meta: Mapping[str, object] | None = None,
        now: datetime | None = None,
    ) -> None:
        """Print a single record: ``sections`` for people and pipes, ``data`` as the JSON envelope's ``data``."""
        from admin_cli.terminal.record import write_record

        write_record(self, sections, data=data, meta=meta, now=now)


def default_format() -> Format:
    return "table" if streams.is_terminal(sys.stdout) else "tsv"


def output_options(columns: Sequence[Column]) -> Callable[[Callable[P, R]], Callable[..., R]]:
    """Adds ``-o --columns --no-headers --sort --utc`` to a list command, as one argument, ``out``.

    Columns are checked while the command line is parsed, before any query.
    """
    names = ", ".join(column.name for column in columns)

    def decorate(command: Callable[P, R]) -> Callable[..., R]:
        @_format_option(FORMATS)
        @click.option("--columns", metavar="A,B", help=f"Columns to show: {names}.")
        @click.option("--no-headers", is_flag=True, help="Print no header line.")
        @click.option("--sort", metavar="A,-B", help="Sort by columns; a minus sorts descending.")
        @_utc_option
        @functools.wraps(command)
        def with_output(*args: Any, **kwargs: Any) -> R:
            chosen, sort = kwargs.pop("columns"), kwargs.pop("sort")
            kwargs["out"] = Output(
                format=kwargs.pop("output") or default_format(),
                columns=tuple(pick_columns(columns, chosen)),
                sort=sort_keys(columns, sort),
                is_chosen=chosen is not None,
                headers=not kwargs.pop("no_headers"),
                utc=kwargs.pop("utc"),
            )
            return command(*args, **kwargs)

        return with_output

    return decorate


def record_options() -> Callable[[Callable[P, R]], Callable[..., R]]:
    """Adds ``-o table|json|tsv`` and ``--utc`` to a command that shows one record, as one argument, ``out``."""

    def decorate(command: Callable[P, R]) -> Callable[..., R]:
        @_format_option(("table", "json", "tsv"))
        @_utc_option
        @functools.wraps(command)
        def with_output(*args: Any, **kwargs: Any) -> R:
            kwargs["out"] = Output(format=kwargs.pop("output") or default_format(), utc=kwargs.pop("utc"))
            return command(*args, **kwargs)

        return with_output

    return decorate


def _format_option(formats: Sequence[Format]) -> Callable[[Callable[..., R]], Callable[..., R]]:
    option = click.option(
        "-o",
        "--output",
        type=click.Choice(formats),
        help="Format; default: table on a terminal, tsv in a pipe.",
    )
    return cast("Callable[[Callable[..., R]], Callable[..., R]]", option)


def _utc_option(command: Callable[..., R]) -> Callable[..., R]:
    return click.option("--utc", is_flag=True, help="Show times in UTC instead of local time or ages.")(command)
