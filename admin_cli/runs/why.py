"""`jobs why` and `jobs wait`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.exits import CommandFailed, Exit
from admin_cli.program.names import command_line
from admin_cli.program.options import Globals, pass_globals
from admin_cli.runs.run_columns import RUN_COLUMNS, error_of, run_json, word_of
from admin_cli.runs.selector_options import complete_ids
from admin_cli.terminal import streams
from admin_cli.terminal.output import Output, output_options, record_options
from admin_cli.terminal.record import Section
from jobs.formats.escaping import escape_controls
from jobs.formats.short_id import short_id

if TYPE_CHECKING:
    from jobs.ledger.run_records import RunRecord
    from jobs.operations.runs.explain import Explanation


@click.command("why")
@click.argument("run", metavar="ID", shell_complete=complete_ids)
@record_options()
@pass_globals
def why(options: Globals, out: Output, run: str) -> None:
    """Explain why a run is not running, or why it ended.

    \b
    Example:
      jobledger why c9165be1
    """
    from jobs.operations.runs.explain import explain

    found = explain(open_app(options), this_operator(), run)
    head = _head(found)
    evidence = [(name, value) for name, value in found.evidence if value is not None]
    out.record(
        [
            Section(text=head) if out.format == "table" else Section("Why", text=head),
            Section("Evidence", pairs=evidence),
        ],
        data={
            "id": found.run.id,
            "kind": found.run.kind,
            "state": word_of(found.run),
            "code": found.code,
            "sentence": found.sentence,
            "evidence": dict(evidence),
        },
    )


def _head(found: Explanation) -> str:
    """One sentence if the run has ended; else its state and the reason for it."""
    named = f"{found.run.kind} {short_id(found.run.id)}"
    if found.run.finished_at is not None and found.sentence.startswith("It "):
        return named + found.sentence.removeprefix("It")
    return f"{named} is {word_of(found.run)}. {found.sentence}"


@click.command("wait")
@click.argument("runs", metavar="ID...", nargs=-1, required=True, shell_complete=complete_ids)
@output_options(RUN_COLUMNS)
@pass_globals
def wait(options: Globals, out: Output, runs: tuple[str, ...]) -> None:
    """Wait until runs have ended: exit 7 if one did not succeed.

    \b
    Example:
      jobledger --timeout 1m wait c9165be1
    """
    from jobs.operations.runs.selector import SelectorInput, make_selector
    from jobs.operations.runs.wait import wait_for

    app, operator = open_app(options), this_operator()
    ids = make_selector(app, SelectorInput(ids=runs)).ids
    ended = wait_for(app, operator, ids, moved=_print_state)
    out.rows(ended, as_json=run_json)
    lost = [run for run in ended if run.state != "succeeded"]
    if lost:
        first = short_id(lost[0].id)
        raise CommandFailed(
            f"run {first} is {lost[0].state}" + (f", and {len(lost) - 1} more" if len(lost) > 1 else ""),
            exit_code=Exit.RUN_DEAD,
            hint=f"Show it: {command_line(f'show {first}')}.",
        )


def _print_state(run: RunRecord) -> None:
    error = error_of(run)
    said = f"{short_id(run.id)} {run.kind} {word_of(run)} attempt {run.attempt}" + (f"  {error}" if error else "")
    streams.write_message(escape_controls(said))
