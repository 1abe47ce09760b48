"""`jobs config`: shows the settings in force and their origin, and prints their reference page."""

from __future__ import annotations

from dataclasses import replace

import click

from admin_cli.program.app import read_settings
from admin_cli.program.lazy import Entry, LazyGroup
from admin_cli.program.options import Globals, pass_globals
from admin_cli.terminal.columns import Column
from admin_cli.terminal.output import Output, output_options

ENTRIES = {
    "show": Entry("admin_cli.setup.config:show_config", "Show the settings in force; secrets are hidden."),
    "reference": Entry(
        "admin_cli.setup.config:reference", "Print the reference of all settings, as in docs/configuration.md."
    ),
}
COLUMNS = (Column("name"), Column("value", gives=2), Column("origin", gives=1))


@click.group("config", cls=LazyGroup, entries=ENTRIES)
def config() -> None:
    """Show the settings, and where each value comes from."""


@click.command("show")
@click.option("--origin", is_flag=True, help="Show where each value comes from.")
@click.option("--set-only", is_flag=True, help="Hide settings with their default value.")
@output_options(COLUMNS)
@pass_globals
def show_config(options: Globals, origin: bool, set_only: bool, out: Output) -> None:
    """Show the settings in force; secrets are hidden.

    \b
    Example:
      jobledger config show --origin
    """
    from jobs.settings import PREFIX, origins, show

    settings = read_settings(options)
    given = origins(options.overrides())
    rows = [
        {
            "name": f"{PREFIX}{name.upper()}",
            "value": show(name, getattr(settings, name)),
            "origin": given.get(name, "default"),
        }
        for name in type(settings).model_fields
        if not set_only or name in given
    ]
    if not origin and not out.is_chosen:
        out = replace(out, columns=tuple(column for column in out.columns if column.name != "origin"))
    out.rows(rows)


@click.command("reference")
def reference() -> None:
    """Print the reference of all settings, as in docs/configuration.md.

    \b
    Example:
      jobledger config reference > configuration.md
    """
    from admin_cli.terminal import streams
    from jobs.settings_reference import settings_page

    streams.write(settings_page())
