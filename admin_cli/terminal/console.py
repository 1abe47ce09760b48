"""The terminal that tables and records are drawn on: its width, and whether it shows colour. Needs rich.

rich reads ``NO_COLOR`` and ``FORCE_COLOR``; a pipe gets no colour unless forced.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from io import StringIO
from typing import TextIO

from rich.console import Console
from rich.text import Text

from admin_cli.terminal import streams

ENDLESS = 1_000_000
"""Width of a line without a limit, in cells."""


@dataclass(frozen=True, slots=True)
class TerminalConsole:
    console: Console
    buffer: StringIO
    width: int | None
    ellipsis: str

    @classmethod
    def of(cls, stream: TextIO) -> TerminalConsole:
        is_terminal = streams.is_terminal(stream)
        buffer = StringIO()
        console = Console(
            file=buffer,
            # False, unlike None, would overrule FORCE_COLOR.
            force_terminal=True if is_terminal else None,
            highlight=False,
            markup=False,
            emoji=False,
            width=ENDLESS,
        )
        is_unicode = (getattr(stream, "encoding", None) or "").lower().replace("-", "").startswith("utf")
        width = streams.table_width()
        return cls(console=console, buffer=buffer, width=width, ellipsis="…" if is_unicode else "~")

    def now(self) -> datetime:
        from jobs.clock import SystemClock

        return SystemClock().now()

    def draw(self, line: Text) -> None:
        """Print one line of escaped text, without wrapping or cropping."""
        self.console.print(line, soft_wrap=True)
        streams.write(self.buffer.getvalue())
        self.buffer.seek(0)
        self.buffer.truncate()
