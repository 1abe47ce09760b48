"""What an import from another broker tells the operator: what was moved, what stays, and what was refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from admin_cli.program.exits import CommandFailed, Exit
from admin_cli.terminal import streams
from jobs.formats.escaping import escape_controls

MAX_SHOWN = 20
"""Most refused messages that are named; ``-o json`` lists all."""


class ImportReport(Protocol):
    """The result of an import. ``refused`` ones have a queue, a name and a reason."""

    known_already: int
    refused: list[dict[str, str]]

    @property
    def total(self) -> int: ...


def report_moved(
    moved: ImportReport, *, noun: str, name: str, dry_run: bool, warnings: Sequence[str], problem: str, hint: str
) -> None:
    """Write the report to stderr.

    Args:
        noun: what was moved: ``task``.
        name: the key of ``refused`` that names one.
        problem: what became of those refused: ``could not be moved, and stay in Redis``.

    Raises:
        CommandFailed: some were refused.
    """
    again = f", {moved.known_already:,} were already in the ledger" if moved.known_already else ""
    streams.write_message(f"{count_of(moved.total, noun)} {'would be moved' if dry_run else 'moved'}{again}")
    for warning in warnings:
        streams.write_message(f"warning: {warning}")
    for one in moved.refused[:MAX_SHOWN]:
        queue, what, why = (escape_controls(one[key]) for key in ("queue", name, "why"))
        streams.write_message(f"refused: {queue} {what}: {why}")
    if moved.refused:
        raise CommandFailed(f"{count_of(len(moved.refused), noun)} {problem}.", exit_code=Exit.CONFLICT, hint=hint)


def count_of(count: int, noun: str) -> str:
    """``1 task``, ``1,200 tasks``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
