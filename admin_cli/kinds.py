"""`jobs kinds`: what the application's modules define."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from admin_cli.app import import_modules, read_settings
from admin_cli.columns import Column
from admin_cli.options import Globals, pass_globals
from admin_cli.output import Output, output_options
from admin_cli.queues import pause_kind, resume_kind
from admin_cli.worker import IMPORT

if TYPE_CHECKING:
    from jobs.job import Job

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


@click.group("kinds", invoke_without_command=False)
def kinds() -> None:
    """The kinds of job that the application defines.

    \b
    Example:
      jobledger kinds list --import shop.jobs
    """


@kinds.command("list")
@IMPORT
@output_options(COLUMNS)
@pass_globals
def list_kinds(options: Globals, out: Output, imports: tuple[str, ...]) -> None:
    """List the kinds that the imported modules define."""
    from jobs import registry

    settings = read_settings(options, imports=imports)
    import_modules(settings.imports)
    out.rows(
        [_row(registry.get(kind)) for kind in registry.kinds()],
        empty="No kind is known: name a module with --import, or set JOBS_IMPORTS.",
    )


kinds.add_command(pause_kind, "pause")
kinds.add_command(resume_kind, "resume")


def _row(cls: type[Job]) -> dict[str, Any]:
    from jobs.registry import place_of

    options = cls.options
    return {
        "kind": options.kind,
        "queue": options.queue,
        "timeout": options.timeout,
        "max_attempts": options.retry.max_attempts,
        "arguments": ", ".join(cls.model_fields) or None,
        "priority": options.priority,
        "version": options.version,
        "place": place_of(cls),
    }
