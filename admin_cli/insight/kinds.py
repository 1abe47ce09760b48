"""`jobs kinds`: lists and shows the job kinds that the application's modules define."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from admin_cli.insight.queues import pause_kind, pause_pairs, resume_kind
from admin_cli.insight.targets import target_kind, target_pairs
from admin_cli.program.actor import this_operator
from admin_cli.program.app import import_modules, open_app, read_settings
from admin_cli.program.options import IMPORT, Globals, pass_globals
from admin_cli.runs.selector_options import complete_kinds
from admin_cli.terminal.columns import Column
from admin_cli.terminal.output import Output, output_options, record_options
from admin_cli.terminal.section import Section

if TYPE_CHECKING:
    from jobs.client.job import Job

COLUMNS = (
    Column("kind", gives=1),
    Column("queue"),
    Column("timeout"),
    Column("max_attempts", heading="TRIES"),
    Column("arguments", gives=3),
    Column("priority", is_wide=True),
    Column("version", is_wide=True),
    Column("place", is_wide=True, gives=2),
)
FIELD_COLUMNS = (
    Column("name", heading="ARGUMENT", gives=1, min_width=12),
    Column("type", gives=3, min_width=10),
    Column("default", gives=2, min_width=8),
    Column("about", gives=4, min_width=12),
)
_SHOWN = (
    "kind", "definition", "doc", "aliases", "queue", "priority", "timeout", "unique", "schedules", "version",
    "isolated", "memory", "place",
)  # fmt: skip


@click.group("kinds", invoke_without_command=False)
def kinds() -> None:
    """Job kinds: list, show and pause them, and set targets.

    \b
    Example:
      jobledger kinds list --import shop.jobs
    """


@kinds.command("list")
@IMPORT
@output_options(COLUMNS)
@pass_globals
def list_kinds(options: Globals, out: Output, imports: tuple[str, ...]) -> None:
    """List the kinds that the imported modules define.

    \b
    Example:
      jobledger kinds list --import shop.jobs
    """
    from jobs.definition import registry
    from jobs.operations.insight.kinds import definition_of

    settings = read_settings(options, imports=imports)
    import_modules(settings.imports)
    out.rows(
        [_row(registry.get(kind)) for kind in registry.kinds()],
        as_json=lambda row: definition_of(registry.get(row["kind"])),
        empty="No kind is known: name a module with --import, or set JOBS_IMPORTS.",
    )


@kinds.command("show")
@click.argument("kind", metavar="KIND", shell_complete=complete_kinds)
@IMPORT
@record_options()
@pass_globals
def show_kind(options: Globals, out: Output, kind: str, imports: tuple[str, ...]) -> None:
    """Show a kind: its job's definition, its runs and its pause.

    The definition is that of the imported modules; without them, only what the ledger knows is shown.

    \b
    Example:
      jobledger kinds show SendInvoice --import shop.jobs
    """
    from jobs.definition import registry
    from jobs.operations.insight.kinds import arguments_of, definition_of
    from jobs.operations.insight.queues import look_at_kind
    from jobs.operations.insight.targets import find_target

    app = open_app(options, imports=imports)
    cls = registry.find(kind)
    name = cls.options.kind if cls is not None else kind
    seen, target = look_at_kind(app, this_operator(), name), find_target(app, this_operator(), "kind", name)
    if cls is None and seen.is_empty:
        # Names the nearest kind, and how to import its module.
        registry.get(kind)
    definition = definition_of(cls) if cls is not None else None
    shown = definition or {"kind": name, "definition": "not known here: name its module with --import"}
    runs = ", ".join(f"{number:,} {state.value}" for state, number in seen.runs.items() if number)
    out.record(
        [
            Section(pairs=_given_pairs({key: shown.get(key) for key in _SHOWN})),
            Section("Retry", pairs=_given_pairs(shown.get("retry"))),
            Section("Arguments", columns=FIELD_COLUMNS, rows=arguments_of(cls) if cls is not None else ()),
            Section("In the ledger", pairs=[("runs", runs or "none"), ("workers", ", ".join(seen.workers) or "none")]),
            Section("Target", pairs=target_pairs(target)),
            Section("Paused", pairs=pause_pairs(seen.pause)),
        ],
        data={
            "kind": name,
            "definition": definition,
            "runs": {state.value: number for state, number in seen.runs.items()},
            "workers": seen.workers,
            "pause": seen.pause,
            "target": target.as_data(),
        },
    )
    app.close()


kinds.add_command(pause_kind, "pause")
kinds.add_command(resume_kind, "resume")
kinds.add_command(target_kind)


def _row(cls: type[Job]) -> dict[str, Any]:
    from jobs.definition.registry import place_of
    from jobs.operations.insight.kinds import arguments_of

    options = cls.options
    return {
        "kind": options.kind,
        "queue": options.queue,
        "timeout": options.timeout,
        "max_attempts": options.retry.max_attempts,
        "arguments": ", ".join(str(one["name"]) for one in arguments_of(cls)) or None,
        "priority": options.priority,
        "version": options.version,
        "place": place_of(cls),
    }


def _given_pairs(values: Mapping[str, Any] | None) -> list[tuple[str, object]]:
    """The given pairs as a block, without those that have no value."""
    found = []
    for name, value in (values or {}).items():
        if value is None or value is False or value == []:
            continue
        found.append((name.replace("_", " "), ", ".join(map(str, value)) if isinstance(value, list) else value))
    return found
