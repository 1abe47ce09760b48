"""One section of a record page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from admin_cli.terminal.columns import Column, Format, Row


@dataclass(frozen=True, slots=True)
class Section:
    """A titled part of a page: pairs, or a table, or text of several lines. Values are raw, as in a list."""

    title: str = ""
    pairs: Sequence[tuple[str, object]] = ()
    columns: Sequence[Column] = ()
    rows: Sequence[Row] = field(default=())
    text: str | None = None

    @property
    def is_empty(self) -> bool:
        return not self.pairs and not self.rows and not self.text


class PageOptions(Protocol):
    """The parts of ``Output`` that drawing a page needs."""

    @property
    def format(self) -> Format: ...
    @property
    def utc(self) -> bool: ...
    @property
    def columns(self) -> tuple[Column, ...]: ...
    @property
    def headers(self) -> bool: ...
    @property
    def is_chosen(self) -> bool: ...
