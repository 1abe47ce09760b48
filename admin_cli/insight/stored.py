"""`jobs stored`: stored values: list them, check their content, and collect what no run refers to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.exits import CommandFailed
from admin_cli.program.options import REASON, Globals, pass_globals
from admin_cli.terminal import streams
from admin_cli.terminal.columns import Column
from admin_cli.terminal.output import Output, output_options

if TYPE_CHECKING:
    from jobs.ledger.blobs.listing import BlobRow
    from jobs.operations.stored.inspect import Checked

STYLES = {
    "unused": "yellow",
    "incomplete": "yellow",
    "removed": "red",
    "stored_missing": "red",
    "stored_altered": "red",
}
COLUMNS = (
    Column("id"),
    Column("name", gives=3),
    Column("size", heading="BYTES"),
    Column("state", lambda row: row.problem or row.state, paint=lambda value: STYLES.get(str(value))),
    Column("runs"),
    Column("created_at", heading="CREATED"),
    Column("verified_at", heading="VERIFIED", is_wide=True),
    Column("store", is_wide=True, gives=2),
    Column("sha256", is_wide=True, gives=1),
)
CHECKED = (
    Column("id", lambda row: row.blob.id),
    Column("name", lambda row: row.blob.name, gives=2),
    Column("result", lambda row: row.code or "well", paint=lambda value: None if value == "well" else "red"),
    Column("problem", gives=4),
    Column("runs", lambda row: ", ".join(map(str, row.runs)), is_wide=True, gives=3),
)


@click.group("stored")
def stored() -> None:
    """Stored values: list them, check and collect them.

    \b
    Example:
      jobledger stored list
    """


@stored.command("list")
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Values a page.")
@click.option("--before", metavar="ID", help="Values older than this one: the next page.")
@output_options(COLUMNS)
@pass_globals
def list_command(options: Globals, out: Output, limit: int, before: str | None) -> None:
    """List stored values, the newest first; never their content.

    \b
    Example:
      jobledger stored list --limit 20
    """
    from jobs.operations.stored.inspect import list_stored, stored_id

    app, operator = open_app(options), this_operator()
    last = None if before is None else stored_id(app, operator, before)
    found = list_stored(app, operator, before=last, limit=limit)
    out.rows(found, as_json=_json, empty="no values are stored")


@stored.command("verify")
@click.argument("ids", metavar="[ID]...", nargs=-1)
@output_options(CHECKED)
@pass_globals
def verify(options: Globals, out: Output, ids: tuple[str, ...]) -> None:
    """Read the content of values: is it what was stored?

    Without an ID, all values are read that runs refer to. The exit code is 1 if one is gone or altered.

    \b
    Example:
      jobledger stored verify
    """
    from jobs.operations.stored.inspect import verify_stored

    wrong = []

    def checked() -> Iterator[Checked]:
        for one in verify_stored(open_app(options), this_operator(), ids):
            if one.problem is not None:
                wrong.append(one.blob.id)
            yield one

    out.rows(checked(), as_json=_checked_json, empty="no run refers to a stored value")
    if wrong:
        raise CommandFailed(
            f"The content of {len(wrong):,} stored values is wrong.", hint="Put it back, and replay their runs."
        )


@stored.command("collect")
@REASON
@pass_globals
def collect(options: Globals, reason: str | None) -> None:
    """Delete what no run refers to any more, now.

    Workers do this by themselves. What was just written, and is not referred to yet, is kept for a day.

    \b
    Example:
      jobledger stored collect --reason "the disk is full"
    """
    from jobs.operations.stored.collecting import collect_stored

    done = collect_stored(open_app(options), this_operator(), reason=reason)
    streams.write_message(f"{done.deleted:,} stored values deleted.")


def _json(row: BlobRow) -> dict[str, Any]:
    names = ("id", "name", "size", "sha256", "store", "state", "runs", "created_at", "collect_at", "removed_at")
    return {name: getattr(row, name) for name in (*names, "verified_at", "problem")}


def _checked_json(row: Checked) -> dict[str, Any]:
    return {"id": row.blob.id, "name": row.blob.name, "code": row.code, "problem": row.problem, "runs": list(row.runs)}
