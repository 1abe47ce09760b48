"""Asks for confirmation before an action on many runs."""

from __future__ import annotations

import sys

import click

from admin_cli.program.exits import CommandFailed, Exit
from admin_cli.terminal import streams
from jobs.formats.escaping import escape_controls

MAX_BY_YES = 100
"""Above this many, the operator must type the count. Source: decision; people type `y` before they read."""


def confirm(count: int, verb: str, *, yes: bool, noun: str = "run", plural: str | None = None) -> None:
    """Return only if ``--yes`` or the operator confirms that ``verb`` may change ``count`` things.

    >>> confirm(37, "replay", yes=yes)              # Replay 37 runs? [y/N]
    >>> confirm(4000, "purge", yes=yes)             # Purge 4000 runs? Type 4000 to go on:

    The question goes to stderr, the answer comes from stdin. With a count of 0 it asks nothing.

    Raises:
        click.UsageError: no ``--yes``, and no terminal to ask on.
        CommandFailed: the answer was not yes (exit 2, as for usage).
    """
    if yes or count == 0:
        return
    what = f"{verb} {count} {noun if count == 1 else plural or noun + 's'}"
    if not (streams.is_terminal(sys.stdin) and streams.is_terminal(sys.stderr)):
        raise click.UsageError(f"Would {what}, but there is no terminal to ask for confirmation: add --yes.")
    is_many = count > MAX_BY_YES
    sign = f"Type {count} to continue: " if is_many else "[y/N] "
    # Not click's prompt: with readline it writes to stdout, which may be a pipe.
    print(f"{escape_controls(what.capitalize())}? {sign}", end="", file=sys.stderr, flush=True)
    line = sys.stdin.readline()
    if not line.endswith("\n"):
        print(file=sys.stderr)
    answer = line.strip().lower().replace(",", "").replace("_", "")
    if answer != str(count) and (is_many or answer not in ("y", "yes")):
        raise CommandFailed("nothing was changed: the answer was not yes.", exit_code=Exit.USAGE)
