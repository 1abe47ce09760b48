"""`jobs logs`: what an attempt logged, also as it comes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.options import Globals, pass_globals
from admin_cli.runs.run_columns import fields_of
from admin_cli.runs.selector_options import complete_ids
from admin_cli.terminal import streams
from admin_cli.terminal.columns import Column
from admin_cli.terminal.output import Output, output_options
from jobs.formats.escaping import escape_controls, escape_lines

if TYPE_CHECKING:
    from jobs.operations.runs.logs import LogLine

LOG_COLUMNS = (
    Column("attempt", is_wide=True),
    Column("number", heading="#"),
    Column("at"),
    Column("level"),
    Column("source"),
    Column("text"),
)


@click.command("logs")
@click.argument("run", metavar="ID", shell_complete=complete_ids)
@click.option("--attempt", type=click.IntRange(1), metavar="N", help="Of this attempt; default: the latest.")
@click.option("-f", "--follow", is_flag=True, help="Print lines as they come, until the run has ended.")
@output_options(LOG_COLUMNS)
@pass_globals
def logs(options: Globals, out: Output, run: str, attempt: int | None, follow: bool) -> None:
    """Show what an attempt logged: run.log, and captured logs.

    A job keeps lines by self.run.log(...). With capture_logs=True on its class, or JOBS_CAPTURE_LOGS=INFO, what it logs
    and prints is kept too. The first and the last lines are kept; a note says how many are left out.

    \b
    Examples:
      jobledger logs c9165be1
      jobledger logs c9165be1 --attempt 1 -o jsonl
    """
    from jobs.operations.runs.logs import follow_log, log_of

    app, operator = open_app(options), this_operator()
    if follow:
        if out.format == "json":
            raise click.UsageError("--follow prints lines as they come: use -o jsonl.")
        _print(out, follow_log(app, operator, run, attempt=attempt, rest=streams.flush))
        return
    found = log_of(app, operator, run, attempt=attempt)
    said = {"attempt": found.attempt, "line_count": found.line_count, "left_out": found.left_out}
    if out.is_json:
        out.rows(found.lines, as_json=fields_of, meta=said)
        return
    if found.attempt is None:
        streams.write_message("the attempt kept no log." if attempt else "no attempt of the run has kept a log.")
        return
    _print(out, found.lines)


def _print(out: Output, lines: Iterable[LogLine]) -> None:
    """Rows in a pipe; on a terminal whole lines, as a log file has them."""
    if out.format not in ("table", "wide") or out.is_chosen:
        out.rows(lines, as_json=fields_of)
        return
    last = None
    for line in lines:
        if last is not None and last.attempt == line.attempt and line.number > last.number + 1:
            streams.write(f"… {line.number - last.number - 1:,} lines left out\n")
        if last is None or last.attempt != line.attempt:
            streams.write(f"attempt {line.attempt}\n")
        last = line
        for part in _form(line, utc=out.utc):
            streams.write(part + "\n")


def _form(line: LogLine, *, utc: bool) -> list[str]:
    moment = line.at if utc else line.at.astimezone()
    first, *more = escape_lines(line.text)
    head = f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03} {escape_controls(line.level):<7}"
    source = "" if line.source == "run" else f" {escape_controls(line.source)}:"
    return [f"{head}{source} {first}", *(f"  {part}" for part in more)]
