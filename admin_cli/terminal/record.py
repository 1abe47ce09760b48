"""The record page of `show`: blocks of names and values, and small tables; JSON with ``-o json``.

    out.record(
        [
            Block(pairs=[("id", run.id), ("kind", run.kind), ("state", run.state)]),
            Block("Arguments", pairs=list(run.arguments.items())),
            Block("Attempts", columns=ATTEMPT_COLUMNS, rows=attempts),
            Block("Traceback", text=attempt.traceback),
        ],
        data=run_as_json,
    )

A record page cuts nothing: long values are wrapped, and ids are shown in full, so that users can copy them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from admin_cli.terminal import streams
from admin_cli.terminal.block import Asked
from admin_cli.terminal.block import Block as Block
from jobs.formats.escaping import escape_controls, escape_lines


def write_record(
    out: Asked,
    blocks: Sequence[Block],
    *,
    data: Mapping[str, object],
    meta: Mapping[str, object] | None,
    now: datetime | None,
) -> None:
    """Like ``Output.record``; skips empty blocks."""
    # A late import: command modules import Block, and help must stay fast.
    from admin_cli.terminal.rows import envelope

    if out.format == "json":
        streams.write(envelope(dict(data), meta=meta))
        return
    shown = [block for block in blocks if not block.is_empty]
    if out.format == "tsv":
        _write_tsv(shown, utc=out.utc)
        return
    from admin_cli.terminal.record_page import write_page

    write_page(shown, now=now, utc=out.utc)


def _write_tsv(blocks: Sequence[Block], *, utc: bool) -> None:
    """Pairs as ``name<TAB>value`` lines; a table after a line with its title; text with the title before each line."""
    from admin_cli.terminal.cells import tsv_cell
    from admin_cli.terminal.rows import write_tsv

    for block in blocks:
        for name, value in block.pairs:
            streams.write(f"{escape_controls(name)}\t{tsv_cell(value, utc=utc)}\n")
        if block.rows:
            streams.write(f"\n# {escape_controls(block.title)}\n")
            write_tsv(block.columns, block.rows, headers=True, utc=utc)
        for line in escape_lines(block.text) if block.text else ():
            streams.write(f"{escape_controls(block.title.lower())}\t{line}\n")
