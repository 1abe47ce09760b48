"""`jobs effects`: lists effects that are unknown, and records what an operator found out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.names import command_line
from admin_cli.program.options import Globals, pass_globals
from admin_cli.program.prompt import confirm
from admin_cli.runs.selector_options import complete_ids, selector_of, selector_options
from admin_cli.terminal.columns import Column
from admin_cli.terminal.output import Output, output_options, record_options
from admin_cli.terminal.record import Section
from jobs.formats.short_id import short_id

if TYPE_CHECKING:
    from jobs.operations.runs.selector import SelectorInput

STYLES = {"unknown": "red", "under way": "cyan"}
COLUMNS = (
    Column("id", lambda row: row.run.id, is_id=True),
    Column("kind", lambda row: row.run.kind, gives=2),
    Column("step", lambda row: row.step.name, gives=1),
    Column("effect", lambda row: row.word, paint=lambda value: STYLES.get(str(value))),
    Column("attempt", lambda row: row.step.attempt),
    Column("started_at", lambda row: row.step.started_at, heading="BEGAN"),
    Column("state", lambda row: row.run.state.value, gives=4),
    Column("finished_at", lambda row: row.step.finished_at, is_wide=True),
    Column("result", lambda row: row.step.result, is_wide=True, gives=3),
)


@click.group("effects")
def effects() -> None:
    """Effects of runs: list them, and resolve unknown ones.

    \b
    Example:
      jobledger effects list --unknown
    """


@effects.command("list")
@selector_options
@click.option("--unknown", is_flag=True, help="Only unknown effects; of every run that died of one, if none is named.")
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Runs a page.")
@click.option("--cursor", metavar="TEXT", help="The cursor that the previous page printed.")
@output_options(COLUMNS)
@pass_globals
def list_effects(
    options: Globals, out: Output, asked: SelectorInput, unknown: bool, limit: int, cursor: str | None
) -> None:
    """List the effects of runs, the latest runs first.

    \b
    Examples:
      jobledger effects list --unknown
      jobledger effects list c9165be1
    """
    from jobs.operations.effects import listing

    app = open_app(options)
    page = listing.list_effects(
        app, this_operator(), selector_of(app, asked), only_unknown=unknown, limit=limit, cursor=cursor
    )
    empty = "no effect is unknown" if unknown else "the runs have no effects"
    out.rows(page.effects, next_cursor=page.next_cursor, as_json=_json, empty=empty)


@effects.command("resolve")
@click.argument("run", metavar="RUN", shell_complete=complete_ids)
@click.argument("step", metavar="STEP")
@click.option("--took-place", "result", metavar="JSON", help="It took place, with this result: '{\"id\": 7}', or null.")
@click.option("--did-not", is_flag=True, help="It did not take place: the next attempt makes the call.")
@click.option("--no-replay", is_flag=True, help="Leave a dead run dead.")
@click.option("--reason", metavar="TEXT", help="How you found out; kept in the audit.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
@record_options()
@pass_globals
def resolve(
    options: Globals,
    out: Output,
    run: str,
    step: str,
    result: str | None,
    did_not: bool,
    no_replay: bool,
    reason: str | None,
    yes: bool,
) -> None:
    """Record whether an unknown effect took place, and reopen its run.

    First ask the other side: the idempotency key of the call begins with the run's id. With --took-place, the next
    attempt gets the result without a call. With --did-not, it makes the call. A run with further unknown effects is
    reopened once the last of them is resolved. `audit undo` takes it back until the run is performed.

    \b
    Examples:
      jobledger effects resolve c9165be1 charge --took-place '"receipt 7"' --reason "found at the bank"
      jobledger effects resolve c9165be1 refund --did-not --reason "the bank has no such payment"
    """
    from jobs.operations.effects.resolve import resolve

    if did_not == (result is not None):
        raise click.UsageError("Say what you found out: --took-place JSON, or --did-not.")
    value = _value(result) if result is not None else None
    app = open_app(options)
    confirm(1, f"record that {step!r} {'did not take' if did_not else 'took'} place for", yes=yes)
    done = resolve(
        app,
        this_operator(),
        run,
        step,
        took_place=not did_not,
        result=value,
        reason=reason,
        reopens=not no_replay,
    )
    left = ", ".join(done.unknown) or None
    pairs = [
        ("run", str(done.run_id)),
        ("step", done.step),
        ("recorded", "it took place" if done.took_place else "it did not take place"),
        ("run is", "reopened" if done.is_reopened else "not reopened"),
        ("still unknown", left),
        ("action", short_id(done.action_id)),
        ("undo", command_line(f"audit undo {short_id(done.action_id)}")),
    ]
    out.record(
        [Section(pairs=[(name, value) for name, value in pairs if value is not None])],
        data={
            "run": done.run_id,
            "step": done.step,
            "took_place": done.took_place,
            "reopened": done.is_reopened,
            "unknown": list(done.unknown),
            "action": done.action_id,
        },
    )


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise click.UsageError(
            f"--took-place {text!r} is not JSON ({error}): quote a text twice, '\"receipt 7\"', or give null."
        ) from None


def _json(effect: Any) -> dict[str, Any]:
    return {
        "run": effect.run.id,
        "kind": effect.run.kind,
        "state": effect.run.state.value,
        "step": effect.step.name,
        "effect": effect.word,
        "attempt": effect.step.attempt,
        "started_at": effect.step.started_at,
        "finished_at": effect.step.finished_at,
        "result": effect.step.result,
    }
