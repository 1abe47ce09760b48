"""`jobs import-dramatiq`: moves an application's dramatiq messages from Redis into the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.options import IMPORT, Globals, pass_globals
from admin_cli.program.prompt import confirm
from admin_cli.setup.moved_report import count_of, report_moved
from admin_cli.terminal.columns import Column
from admin_cli.terminal.output import Output, output_options
from jobs.formats.escaping import escape_controls

if TYPE_CHECKING:
    from jobs.dramatiq.importing import Imported

COLUMNS = (
    Column("queue"),
    Column("messages"),
    Column("delayed"),
    Column("dead"),
    Column("fetched"),
)


@click.command("import-dramatiq")
@click.argument("url", metavar="REDIS_URL")
@click.option("--namespace", default="dramatiq", show_default=True, help="Namespace of the old RedisBroker.")
@click.option("--dry-run", is_flag=True, help="Show which messages it would move or refuse; move nothing.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@IMPORT
@output_options(COLUMNS)
@pass_globals
def import_dramatiq(
    options: Globals, out: Output, url: str, namespace: str, dry_run: bool, yes: bool, imports: tuple[str, ...]
) -> None:
    """Import the messages of a dramatiq RedisBroker.

    Moves queues, delayed messages and dead letters. It deletes a message from Redis once the ledger has it; run it
    again to continue. It does not move messages that a live dramatiq worker has fetched: stop the worker first.

    Give the application's modules: the actors define the priority and retries of their messages.

    \b
    Examples:
      jobledger import-dramatiq redis://old:6379/0 --import shop.actors --dry-run
      jobledger import-dramatiq redis://old:6379/0 --import shop.actors --yes
    """
    from jobs.dramatiq.importing import broker_of, import_queues
    from jobs.ready.dramatiq_queues import OldQueues

    app = open_app(options, imports=imports)
    old = OldQueues(url, namespace=namespace)
    try:
        if not dry_run:
            confirm(sum(one.waiting + one.dead for one in old.queues()), "move", yes=yes, noun="message")
        done = import_queues(app, broker_of(), old, this_operator(), dry_run=dry_run)
    finally:
        old.close()
    _show(out, done, where=f"{old.shown}, namespace {namespace}")
    report_moved(
        done,
        noun="message",
        name="id",
        dry_run=dry_run,
        warnings=_warnings(done),
        problem="could not be read or stored",
        hint="List them with -o json. If the application sets an encoder, name its module with --import.",
    )


def _show(out: Output, done: Imported, *, where: str) -> None:
    counted = (done.messages, done.delayed, done.dead, done.fetched)
    names = sorted({name for one in counted for name, count in one.items() if count})
    rows = [
        {
            "queue": name,
            "messages": done.messages[name],
            "delayed": done.delayed[name],
            "dead": done.dead[name],
            "fetched": done.fetched[name],
        }
        for name in names
    ]
    meta = {"known_already": done.known_already, "refused": done.refused, "unknown_actors": dict(done.unknown_actors)}
    out.rows(rows, empty=f"no messages in {where}", meta=meta)


def _warnings(done: Imported) -> list[str]:
    found = [
        f"no actor {escape_controls(name)!r} here ({count_of(count, 'message')}): name its module with --import"
        for name, count in sorted(done.unknown_actors.items())
    ]
    held = sum(done.fetched.values())
    if held:
        found.append(f"live dramatiq workers have fetched {count_of(held, 'message')}: stop them, and import again")
    return found
