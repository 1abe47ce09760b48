"""`jobs cancel`, `jobs purge` and `jobs restore`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from admin_cli.program.app import open_app
from admin_cli.program.options import Globals, pass_globals
from admin_cli.runs.bulk import act_on, bulk_options
from admin_cli.runs.selector_options import selector_options
from admin_cli.terminal.output import Output, record_options

if TYPE_CHECKING:
    from jobs.operations.runs.selector import SelectorInput


@click.command("cancel")
@selector_options
@bulk_options
@record_options()
@pass_globals
def cancel(options: Globals, out: Output, asked: SelectorInput, how: dict[str, Any]) -> None:
    """Cancel runs; workers interrupt those that are running.

    \b
    Examples:
      jobledger cancel c9165be1 --reason "ordered twice"
      jobledger cancel --queue mail --state ready --dry-run
    """
    from jobs.operations.bulk.cancel import CancelAction

    act_on(open_app(options), out, CancelAction(reason=how["reason"]), asked, how)


@click.command("purge")
@selector_options
@click.option("--erase", is_flag=True, help="Erase arguments, results and errors at once. Cannot be undone.")
@bulk_options
@record_options()
@pass_globals
def purge(options: Globals, out: Output, asked: SelectorInput, how: dict[str, Any], erase: bool) -> None:
    """Hide finished runs; restore makes them visible again.

    \b
    Examples:
      jobledger purge --state dead --until 30d --reason "too old to matter"
      jobledger purge --arg customer=42 --kind 'Mail*' --erase
    """
    from jobs.operations.bulk.purge import PurgeAction

    act_on(open_app(options), out, PurgeAction(erase=erase), asked, how)


@click.command("restore")
@selector_options
@bulk_options
@record_options()
@pass_globals
def restore(options: Globals, out: Output, asked: SelectorInput, how: dict[str, Any]) -> None:
    """Restore purged runs.

    \b
    Example:
      jobledger restore c9165be1
    """
    from jobs.operations.bulk.purge import RestoreAction

    act_on(open_app(options), out, RestoreAction(), asked, how)
