"""`jobs show ID --at WHEN`: a run as it was, as far as the ledger keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.options import Globals
from admin_cli.runs.run_columns import ATTEMPT_COLUMNS, RunAsOf, attempt_json, error_of, fields_of, then_json
from admin_cli.terminal.columns import Column
from admin_cli.terminal.output import Output
from admin_cli.terminal.record import Section

if TYPE_CHECKING:
    from jobs.operations.runs.earlier_state import RunThen

STEP_COLUMNS = (
    Column("name", gives=1, min_width=10),
    Column("form"),
    Column("attempt"),
    Column("finished_at", heading="DONE"),
    Column("result", gives=2),
)


def show_as_of(options: Globals, out: Output, run: str, at: str) -> None:
    """Print the run as it was at ``at``, in the operator's own words."""
    from jobs.operations.runs.as_of import find_as_of
    from jobs.operations.runs.selector import read_moment

    app = open_app(options)
    moment = read_moment(at, what="--at", now=app.clock.now())
    found = find_as_of(app, this_operator(), run, moment)
    then = found.then
    out.record(
        [
            Section(pairs=[("as of", moment), *_head(then), ("known by", then.known_by.value)]),
            Section("Arguments", pairs=named_arguments(then.run.arguments)),
            Section("Result", text=json_text(then.run.result)),
            Section("Steps", columns=STEP_COLUMNS, rows=found.steps),
            Section("Attempts that had ended", columns=ATTEMPT_COLUMNS[:6], rows=found.attempts),
            Section("Not known", text=", ".join(name.replace("_", " ") for name in then.unknown) or None),
        ],
        data={
            **then_json(RunAsOf(then)),
            "as_of": moment,
            "attempts": [attempt_json(one) for one in found.attempts],
            "steps": [fields_of(one) for one in found.steps],
        },
    )


def named_arguments(arguments: Any) -> list[tuple[str, object]]:
    """Arguments as rows of a block."""
    if isinstance(arguments, Mapping):
        return [(str(name), value) for name, value in arguments.items()]
    return [("", arguments)] if arguments is not None else []


def json_text(value: Any) -> str | None:
    """A JSON value as text on several lines; text as it is."""
    if value is None:
        return None
    from admin_cli.terminal.cells import json_text

    return value if isinstance(value, str) else json_text(value, indent=2)


def _head(then: RunThen) -> list[tuple[str, object]]:
    run = then.run
    due = run.run_at if "run_at" not in then.unknown and run.finished_at is None and run.state != "running" else None
    every: list[tuple[str, object]] = [
        ("id", str(run.id)),
        ("kind", run.kind),
        ("queue", run.queue),
        ("state", then.word),
        ("since", run.state_at),
        ("cause", run.cause),
        ("error", error_of(run)),
        ("group", run.fingerprint),
        ("attempts", run.attempt),
        ("due", due),
        ("held on", run.held_on),
        ("worker", run.worker if run.state == "running" else None),
        ("key", run.key),
        ("created", run.created_at),
    ]
    return [(name, value) for name, value in every if value is not None and value != ""]
