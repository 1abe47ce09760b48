"""`jobs signal`: sends a signal to a run."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.options import REASON, Globals, pass_globals
from admin_cli.runs.selector_options import complete_ids
from admin_cli.terminal import streams


@click.command("signal")
@click.argument("run", metavar="ID", shell_complete=complete_ids)
@click.argument("name")
@click.option("--payload", metavar="JSON", help="The payload: a JSON value, or - for stdin; without it null.")
@REASON
@pass_globals
def signal(options: Globals, run: str, name: str, payload: str | None, reason: str | None) -> None:
    """Send a signal to a run that waits for it.

    NAME is what its job waits for, now or later. The first signal of a name counts. A run that has ended takes none.

    \b
    Examples:
      jobledger signal c9165be1 approval --payload '{"by": "ada"}'
      jobledger why c9165be1
    """
    from jobs.operations.runs.signal import signal_run

    sent = signal_run(open_app(options), this_operator(), run, name, _payload(payload), reason=reason)
    streams.write(f"{sent.id}\n")
    if not sent.is_first:
        streams.write_message(f"The run has a signal {name} already: nothing was changed.")


def _payload(given: str | None) -> Any:
    if given is None:
        return None
    text = sys.stdin.read() if given == "-" else given
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"--payload is not JSON: {error}. Text needs its quotes: '\"yes\"'.") from None
