"""The record page of `show`: sections of names and values, and small tables; JSON with ``-o json``.

    out.record(
        [
            Section(pairs=[("id", run.id), ("kind", run.kind), ("state", run.state)]),
            Section("Arguments", pairs=list(run.arguments.items())),
            Section("Attempts", columns=ATTEMPT_COLUMNS, rows=attempts),
            Section("Traceback", text=attempt.traceback),
        ],
        data=run_as_json,
    )

A record page cuts nothing: long values are wrapped, and ids are shown in full, so that users can copy them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from admin_cli.terminal import streams
from admin_cli.terminal.section import PageOptions
from admin_cli.terminal.section import Section as Section
from jobs.formats.escaping import escape_controls, escape_lines


def write_record(
    out: PageOptions,
    sections: Sequence[Section],
    *,
    data: Mapping[str, object],
    meta: Mapping[str, object] | None,
    now: datetime | None,
) -> None:
    """Like ``Output.record``; skips empty sections."""
    # A late import: command modules import Section, and help must stay fast.
    from admin_cli.terminal.rows import envelope

    if out.format == "json":
        streams.write(envelope(dict(data), meta=meta))
        return
    shown = [section for section in sections if not section.is_empty]
    if out.format == "tsv":
        _write_tsv(shown, utc=out.utc)
        return
    from admin_cli.terminal.record_page import write_page

    write_page(shown, now=now, utc=out.utc)


def _write_tsv(sections: Sequence[Section], *, utc: bool) -> None:
    """Pairs as ``name<TAB>value`` lines; a table after a line with its title; text with the title before each line."""
    from admin_cli.terminal.cells import tsv_cell
    from admin_cli.terminal.rows import write_tsv

    for section in sections:
        for name, value in section.pairs:
            streams.write(f"{escape_controls(name)}\t{tsv_cell(value, utc=utc)}\n")
        if section.rows:
            streams.write(f"\n# {escape_controls(section.title)}\n")
            write_tsv(section.columns, section.rows, headers=True, utc=utc)
        for line in escape_lines(section.text) if section.text else ():
            streams.write(f"{escape_controls(section.title.lower())}\t{line}\n")
