"""`jobs seal`: keys of sealed values, their rotation, opening a run for a person, and forgetting a subject."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import UUID

import click

from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.exits import CommandFailed
from admin_cli.program.options import REASON, Globals, pass_globals
from admin_cli.program.prompt import confirm
from admin_cli.runs.show_as_of import named_arguments
from admin_cli.terminal import streams
from admin_cli.terminal.output import Output, record_options
from admin_cli.terminal.record import Section
from jobs.formats.escaping import escape_controls


@click.group("seal")
def seal() -> None:
    """Sealed values: keys, rotation, opening and forgetting.

    \b
    Example:
      jobledger seal key --id 2026-12
    """


@seal.command("key")
@click.option("--id", "key_id", metavar="ID", required=True, help="The name of the key: letters, digits, _ and -.")
@pass_globals
def make_key(options: Globals, key_id: str) -> None:
    """Add a key to the file that JOBS_SEAL_KEYS_FILE names; the file is made.

    The new key comes first, so it seals from now on; the others still open.

    \b
    Example:
      jobledger seal key --id 2026-12
    """
    from jobs.errors import Conflict
    from jobs.sealing.keys import HASH, new_key, read_key_set

    path = _keys_file(options)
    lines = path.read_text().splitlines(keepends=True) if path.exists() else [f"{HASH} {new_key()}\n"]
    if path.exists():
        read_key_set(path)
    if any(line.split()[:1] == [key_id] for line in lines):
        raise Conflict(f"{path} has a key {key_id} already.", hint="Choose another --id.")
    fresh = path.with_name(f"{path.name}.new")
    # Made for its owner alone, then put in place whole.
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{key_id} {new_key()}\n" + "".join(lines))
    try:
        read_key_set(fresh)
        if path.exists():
            os.chmod(fresh, path.stat().st_mode & 0o770)
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
    streams.write_message(
        escape_controls(f"{path}: key {key_id} seals from now on. Copy the file to every process that needs it.")
    )


@seal.command("rotate")
@click.option("--after", metavar="RUN", type=click.UUID, help="Go on after this run, as a stopped rotation printed it.")
@REASON
@pass_globals
def rotate_keys(options: Globals, after: UUID | None, reason: str | None) -> None:
    """Seal all values again with the first key, batch by batch.

    Afterwards the old keys can be taken out of the file.

    \b
    Example:
      jobledger seal rotate --reason "yearly"
    """
    from jobs.operations.seals.rotation import Rotation, rotate

    last: list[Rotation] = []
    app = open_app(options)
    try:
        done = rotate(app, this_operator(), reason=reason, after=after, progress=last.append)
    except KeyboardInterrupt:
        if last:
            streams.write_message(f"Stopped. Go on with: jobledger seal rotate --after {last[-1].last}")
        raise
    streams.write_message(
        f"{done.values:,} values and {done.subjects:,} keys of subjects sealed again; {done.runs:,} runs looked at."
    )
    if done.broken:
        raise CommandFailed(f"{done.broken:,} values cannot be opened.", hint="The log names their runs.")


@seal.command("forget")
@click.option("--subject", metavar="VALUE", required=True, help="Whose data: the value of the kinds' subject field.")
@REASON
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_globals
def forget(options: Globals, subject: str, reason: str | None, yes: bool) -> None:
    """Delete the key of a subject: nobody can read its values any more.

    \b
    Example:
      jobledger seal forget --subject 42 --reason "asked by mail" --yes
    """
    from jobs.operations.seals.forgetting import forget_subject

    app = open_app(options)
    confirm(1, "forget", yes=yes, noun="subject")
    forget_subject(app, this_operator(), subject, reason=reason)
    streams.write_message("Forgotten. Processes that used the key may use it for another 30 s.")


@seal.command("open")
@click.argument("run", metavar="RUN")
@REASON
@record_options()
@pass_globals
def open_sealed(options: Globals, out: Output, run: str, reason: str | None) -> None:
    """Show a run's sealed arguments and result in clear; on record.

    \b
    Example:
      jobledger seal open c9165be1 --reason "refund of order 7"
    """
    from jobs.operations.seals.opening import open_run

    found = open_run(open_app(options), this_operator(), run, reason=reason)
    out.record(
        [
            Section(pairs=[("id", found.id), ("kind", found.kind), ("result", found.result)]),
            Section("Arguments", pairs=named_arguments(found.arguments)),
        ],
        data={"id": found.id, "kind": found.kind, "arguments": found.arguments, "result": found.result},
    )


def _keys_file(options: Globals) -> Path:
    from admin_cli.program.app import read_settings

    path = read_settings(options).seal_keys_file
    if path is None:
        raise CommandFailed("JOBS_SEAL_KEYS_FILE is not set.", hint="Name the file: it is made if it is not there.")
    return path
