"""`jobs enqueue`: enqueues a run from the command line."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, TextIO

import click

from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.options import DURATION, IMPORT, REASON, Globals, pass_globals
from admin_cli.terminal import streams


@click.command("enqueue")
@click.argument("kind")
@click.option("-a", "--argument", "pairs", metavar="NAME=VALUE", multiple=True, help="An argument of the job.")
@click.option("--args", "file", type=click.File("r"), help="All arguments: a JSON object in a file, or - for stdin.")
@click.option("--queue", help="Overrides the job's queue.")
@click.option("--priority", type=int, help="Overrides the job's priority; smaller numbers run first.")
@click.option("--key", help="Do not enqueue while another run holds this key.")
@click.option("--in", "delay", type=DURATION, metavar="DURATION", help="Delay the run by this long.")
@click.option("--tag", "tags", multiple=True, help="A tag to find the run by.")
@REASON
@IMPORT
@pass_globals
def enqueue(
    options: Globals,
    kind: str,
    pairs: tuple[str, ...],
    file: TextIO | None,
    queue: str | None,
    priority: int | None,
    key: str | None,
    delay: timedelta | None,
    tags: tuple[str, ...],
    reason: str | None,
    imports: tuple[str, ...],
) -> None:
    """Enqueue a run of KIND, and print its id.

    \b
    Example:
      jobledger enqueue SendInvoice -a order_id=7 --in 10m --import shop.jobs
    """
    from jobs.enqueue import unserved_warning
    from jobs.operations.runs.enqueue import enqueue_run

    app = open_app(options, imports=imports)
    unserved_warning.skip_for(app)
    done = enqueue_run(
        app, this_operator(), kind, read_arguments(pairs, file),
        queue=queue, priority=priority, key=key, delay=delay, tags=tags, reason=reason,
    )  # fmt: skip
    app.close()
    streams.write(f"{done.id}\n")
    if not done.created:
        streams.write_message("This run already holds the key: nothing was enqueued.")


def read_arguments(pairs: tuple[str, ...], file: TextIO | None) -> dict[str, Any]:
    """The arguments from ``-a`` or ``--args``.

    Raises:
        click.UsageError: both are given, or one cannot be read.
    """
    if file is not None and pairs:
        raise click.UsageError("-a and --args both set arguments: use only one of them.")
    if file is not None:
        return _object(file)
    given = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or not name:
            raise click.UsageError(f"-a {pair!r} is not in the form NAME=VALUE.")
        given[name] = _value(name, value)
    return given


def _object(file: TextIO) -> dict[str, Any]:
    name = getattr(file, "name", "stdin")  # A program that runs this command may give a stream without a name.
    try:
        given = json.load(file)
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"{name} is not JSON: {error}.") from None
    if not isinstance(given, dict):
        raise click.UsageError(f"{name} holds {type(given).__name__}, not a JSON object of arguments.")
    return given


def _value(name: str, text: str) -> Any:
    """Plain text stays text, and the job's types parse it; lists, objects, quoted text and null are JSON."""
    if text[:1] in ("[", "{", '"') or text == "null":
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise click.UsageError(f"-a {name}: starts like JSON, but is not JSON: {error}.") from None
    return text
