"""`jobs show` and `jobs attempts`: one run in full."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.names import command_line
from admin_cli.program.options import Globals, pass_globals
from admin_cli.runs.run_columns import (
    ATTEMPT_COLUMNS,
    RUN_COLUMNS,
    attempt_json,
    error_of,
    fields_of,
    run_json,
    word_of,
)
from admin_cli.runs.selector_options import complete_ids
from admin_cli.runs.show_as_of import STEP_COLUMNS, json_text, named_arguments, show_as_of
from admin_cli.terminal.columns import Column
from admin_cli.terminal.output import Output, output_options, record_options
from admin_cli.terminal.record import Section

if TYPE_CHECKING:
    from jobs.ledger.run_records import RunRecord
    from jobs.operations.runs.logs import StoredLog

SHOWN_LINES = 20
ACTION_COLUMNS = (
    Column("id", is_id=True),
    Column("verb"),
    Column("actor", gives=1),
    Column("started_at", heading="WHEN"),
    Column("reason", gives=2),
    Column("skipped", lambda action: action["run_skipped"], gives=3),
)


@click.command("show")
@click.argument("run", metavar="ID", shell_complete=complete_ids)
@click.option("--at", metavar="WHEN", help="As it was then: 15m (ago) or 2026-11-01T10:00.")
@record_options()
@pass_globals
def show(options: Globals, out: Output, run: str, at: str | None) -> None:
    """Show a run: its state, attempts and arguments.

    With --at, its state, attempts and steps at that moment. They are derived from attempts and from operators' actions;
    what nothing recorded is listed as not known.

    \b
    Examples:
      jobledger show c9165be1
      jobledger show c9165be1 --at 5m
    """
    from jobs.operations.audit import actions as audit
    from jobs.operations.runs import detail, inspect
    from jobs.operations.runs.logs import log_of_run

    if at is not None:
        show_as_of(options, out, run, at)
        return
    app, operator = open_app(options), this_operator()
    found, attempts = inspect.find_run(app, operator, run)
    children = inspect.related(app, operator, found.id)
    actions = audit.of_run(app, operator, found.id)
    steps = detail.steps_of(app, operator, found.id).items
    log = log_of_run(app, operator, found)
    last = next((one for one in reversed(attempts) if one.traceback), None)
    out.record(
        [
            Section(pairs=_head(found)),
            Section("Arguments", pairs=named_arguments(found.arguments)),
            Section("Result", text=json_text(found.result)),
            Section("Progress", text=json_text(found.progress)),
            Section("Steps", columns=STEP_COLUMNS, rows=steps),
            Section("Attempts", columns=ATTEMPT_COLUMNS[:6], rows=attempts),
            Section(
                f"Traceback of attempt {last.attempt}" if last else "", text=_readable(last.traceback) if last else None
            ),
            Section(_log_title(log), text=_last_lines(log)),
            Section("Child runs", columns=RUN_COLUMNS[:6], rows=children),
            Section("Operator actions", columns=ACTION_COLUMNS, rows=actions),
            Section("Next", text=_next(found)),
        ],
        data={
            **run_json(found),
            "attempts": [attempt_json(one) for one in attempts],
            "steps": [fields_of(one) for one in steps],
            "log": {
                "attempt": log.attempt,
                "line_count": log.line_count,
                "left_out": log.left_out,
                "lines": [fields_of(one) for one in log.lines[-SHOWN_LINES:]],
            },
            "children": [child.id for child in children],
            "actions": [{"id": one["id"], "verb": one["verb"], "actor": one["actor"]} for one in actions],
        },
    )


@click.command("attempts")
@click.argument("run", metavar="ID", shell_complete=complete_ids)
@output_options(ATTEMPT_COLUMNS)
@pass_globals
def attempts(options: Globals, out: Output, run: str) -> None:
    """List the attempts of a run, first to last.

    \b
    Example:
      jobledger attempts c9165be1 -o wide
    """
    from jobs.operations.runs import inspect

    _, tries = inspect.find_run(open_app(options), this_operator(), run)
    out.rows(tries, as_json=attempt_json, empty="the run has no attempt yet")


def _readable(traceback: str | None) -> str:
    """Without the lines of carets, which do not align once a long line is wrapped."""
    return "\n".join(line for line in (traceback or "").splitlines() if line.strip(" ^~") or not line.strip())


def _log_title(log: StoredLog) -> str:
    shown = min(SHOWN_LINES, len(log.lines))
    part = f", the last {shown} of {log.line_count:,} lines" if log.line_count > shown else ""
    return f"Log of attempt {log.attempt}{part}"


def _last_lines(log: StoredLog) -> str | None:
    return "\n".join(f"{one.level:<7} {one.text}" for one in log.lines[-SHOWN_LINES:]) or None


def _head(run: RunRecord) -> list[tuple[str, object]]:
    every = [
        ("id", str(run.id)),
        ("kind", run.kind),
        ("queue", run.queue),
        ("state", word_of(run)),
        ("since", run.state_at),
        ("cause", run.cause),
        ("error", error_of(run)),
        ("group", run.fingerprint or None),
        ("attempts", f"{run.attempt}, charged {run.charged} of {run.max_attempts}"),
        ("crashes", run.crashes or None),
        ("lost", run.abandonments or None),
        ("due", run.run_at if run.finished_at is None else None),
        ("held on", run.held_on),
        ("held since", run.held_at),
        ("held until", run.held_until),
        ("expires", run.expires_at if run.finished_at is None else None),
        ("worker", run.worker if run.lease_until else None),
        ("lease until", run.lease_until),
        ("cancel asked", run.cancel_requested_at),
        ("reason", run.cancel_reason),
        ("priority", run.priority or None),
        ("key", run.key),
        ("tags", ", ".join(run.tags) if run.tags else None),
        ("created", run.created_at),
        ("enqueued by", run.enqueued_by),
        ("parent", str(run.parent_id) if run.parent_id else None),
        ("replays", str(run.replayed_from) if run.replayed_from else None),
        ("slot", run.scheduled_for),
        ("correlation", run.correlation_id),
        ("purged", run.deleted_at),
    ]
    return [(name, value) for name, value in every if value is not None and value != ""]


def _next(run: RunRecord) -> str | None:
    from jobs.formats.short_id import short_id

    short = short_id(run.id)
    if run.deleted_at is not None:
        return command_line(f"restore {short}")
    if run.state in ("dead", "cancelled"):
        others = [f"dlq list -g {run.fingerprint}"] if run.state == "dead" and run.fingerprint else []
        if run.cause == "unknown_effect":
            others.append(f"effects list {short} --unknown")
        return "\n".join(command_line(line) for line in (f"why {short}", *others, f"replay {short} --dry-run"))
    if run.finished_at is None:
        return command_line(f"why {short}") + "\n" + command_line(f"cancel {short}")
    return None
