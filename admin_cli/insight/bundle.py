"""`jobs bundle`: writes runs and what explains them to one file, which opens anywhere without a server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.names import command_line
from admin_cli.program.options import IMPORT, SIZE, Globals, pass_globals
from admin_cli.runs.selector_options import selector_of, selector_options
from admin_cli.terminal.streams import write, write_message

if TYPE_CHECKING:
    from jobs.operations.runs.selector import SelectorInput


@click.command("bundle")
@selector_options
@click.option("--run", "runs", multiple=True, metavar="ID", help="A run; the same as its ID as an argument.")
@click.option("--all", "is_all", is_flag=True, help="The latest runs, whatever they are.")
@click.option("-n", "--limit", type=click.IntRange(1, 10_000), default=200, show_default=True, help="Most runs.")
@click.option("-o", "--output", "path", metavar="FILE", type=click.Path(path_type=Path), help="incident.jlb, say.")
@click.option(
    "--arguments",
    "mode",
    type=click.Choice(["redacted", "full"]),
    default="redacted",
    show_default=True,
    help="full hides nothing, and is recorded in the audit.",
)
@click.option(
    "--stored",
    "max_stored",
    type=SIZE,
    default="64M",
    show_default=True,
    help="Most bytes of stored values; with --arguments full.",
)
@click.option("--reason", metavar="TEXT", help="Reason, for the audit log; with --arguments full.")
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@IMPORT
@pass_globals
def bundle(
    options: Globals,
    asked: SelectorInput,
    runs: tuple[str, ...],
    is_all: bool,
    limit: int,
    path: Path | None,
    mode: str,
    max_stored: int,
    reason: str | None,
    force: bool,
    imports: tuple[str, ...],
) -> None:
    """Write runs, and what explains them, to one file.

    The latest matching runs with their attempts, steps and audit, the runs that they came from and enqueued, schedules,
    limits, pauses and workers, in one snapshot. The file needs no server: jobledger --bundle FILE list|show|why|diff …

    Secrets are hidden: fields of the type Secret[…], those in redact={…}, and fields whose names say so; and their
    values wherever they come again. --import also reads what the code at hand declares.

    \b
    Examples:
      jobledger bundle --run c9165be1 -o incident.jlb
      jobledger bundle --where 'state:dead kind:Charge*' -n 200 -o charges.jlb
    """
    from jobs.operations.audit.entry import check_reason
    from jobs.operations.bundles.write import make_bundle

    if path is None:
        raise click.UsageError("Name the file: -o incident.jlb.")
    app = open_app(options, imports=imports or None)
    is_full = mode == "full"
    if is_full:
        check_reason(app, reason)
    asked = replace(asked, ids=(*asked.ids, *runs), is_all=is_all)
    made = make_bundle(
        app, this_operator(), selector_of(app, asked), path, limit=limit, is_full=is_full, reason=reason,
        replaces=force, max_stored=max_stored,
    )  # fmt: skip
    more = f" (the latest {limit:,} of more)" if made.is_cut else ""
    write(f"{path}\n")
    counted = "1 run" if made.runs == 1 else f"{made.runs:,} runs"
    write_message(f"{counted}{more}, {made.related:,} related; arguments {made.arguments}.")
    if made.stored.get("left_out"):
        write_message(f"{made.stored['left_out']:,} stored values are not in it: --stored takes more.")
    write_message(f"Look into it: {command_line(f'--bundle {path} list')}")
