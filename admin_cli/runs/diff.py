"""`jobs diff`: what is different between two attempts of a run, and the code that performed them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.options import Globals, pass_globals
from admin_cli.runs.run_columns import error_of
from admin_cli.runs.selector_options import complete_ids
from admin_cli.terminal.columns import Column
from admin_cli.terminal.output import Output, output_options

if TYPE_CHECKING:
    from jobs.ledger.run_records import AttemptRecord
    from jobs.operations.runs.attempt_code import AttemptCode
    from jobs.operations.runs.logs import StoredLog

MILLISECOND = timedelta(milliseconds=1)


@click.command("diff")
@click.argument("run", metavar="ID", shell_complete=complete_ids)
@click.argument("first", metavar="A", type=click.IntRange(1))
@click.argument("second", metavar="B", type=click.IntRange(1))
@output_options((Column("what"), Column("first", gives=1, min_width=20), Column("second", gives=1, min_width=20)))
@pass_globals
def diff(options: Globals, out: Output, run: str, first: int, second: int) -> None:
    """Compare two attempts of a run, A and B.

    Also by the code that performed them: the release (JOBS_RELEASE of the worker), the job's class, the time limit that
    was in force, and the steps that each did.

    \b
    Example:
      jobledger diff c9165be1 1 3
    """
    from jobs.operations.runs import inspect
    from jobs.operations.runs.attempt_code import codes_of
    from jobs.operations.runs.logs import log_of_run

    app, operator = open_app(options), this_operator()
    found, tries = inspect.find_run(app, operator, run)
    both = [_attempt(tries, first, run), _attempt(tries, second, run)]
    logs = [log_of_run(app, operator, found, attempt=one.attempt) for one in both]
    earlier, later = map(_parts, both, codes_of(app, operator, found, both), logs)
    rows = inspect.changed(earlier, later)
    out.rows(
        [{"what": name, "first": old, "second": new} for name, old, new in rows],
        empty=f"attempts {first} and {second} do not differ",
    )


def _attempt(tries: list[AttemptRecord], number: int, run: str) -> AttemptRecord:
    from jobs.errors import NotFound

    for one in tries:
        if one.attempt == number:
            return one
    had = f"It had {len(tries)}." if tries else "It has no attempt yet."
    raise NotFound(f"Run {run} has no attempt {number}.", hint=had)


def _parts(attempt: AttemptRecord, code: AttemptCode, log: StoredLog) -> list[tuple[str, object]]:
    lines = (attempt.traceback or "").strip().splitlines()
    place = next((line.strip() for line in reversed(lines) if line.strip().startswith("File ")), None)
    return [
        ("outcome", attempt.outcome.value),
        # Rounded to the unit that is shown, so that equal output counts as equal.
        ("took", timedelta(milliseconds=round((attempt.finished_at - attempt.started_at) / MILLISECOND))),
        ("worker", attempt.worker),
        ("release", code.release),
        ("class", code.code),
        ("time limit", code.timeout),
        ("steps done", ", ".join(code.steps) or None),
        ("log lines", log.line_count),
        ("last line", log.lines[-1].text.partition("\n")[0] if log.lines else None),
        ("error", error_of(attempt)),
        ("place", place),
        ("fingerprint", attempt.fingerprint),
    ]
