"""`jobs import-dramatiq`: moves an application's dramatiq messages from Redis or RabbitMQ into the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.exits import CommandFailed, Exit
from admin_cli.program.options import IMPORT, Globals, pass_globals
from admin_cli.program.prompt import confirm
from admin_cli.setup.moved_report import count_of, report_moved
from admin_cli.terminal.columns import Column
from admin_cli.terminal.output import Output, output_options
from jobs.formats.escaping import escape_controls

if TYPE_CHECKING:
    from jobs.app import App
    from jobs.dramatiq.importing import Imported
    from jobs.dramatiq.old_broker import OldBroker

COLUMNS = (
    Column("queue"),
    Column("messages"),
    Column("delayed"),
    Column("dead"),
    Column("fetched"),
)


@click.command("import-dramatiq")
@click.argument("url", metavar="URL", required=False)
@click.option("--from", "named", metavar="URL", help="The same: redis://, rediss://, unix://, amqp:// or amqps://.")
@click.option("--namespace", default="dramatiq", show_default=True, help="Namespace of the old RedisBroker.")
@click.option("--queue", "queues", multiple=True, help="RabbitMQ: a queue that no actor names; may be repeated.")
@click.option("--dry-run", is_flag=True, help="Show which messages it would move or refuse; move nothing.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@IMPORT
@output_options(COLUMNS)
@pass_globals
def import_dramatiq(
    options: Globals,
    out: Output,
    url: str | None,
    named: str | None,
    namespace: str,
    queues: tuple[str, ...],
    dry_run: bool,
    yes: bool,
    imports: tuple[str, ...],
) -> None:
    """Import the messages of dramatiq from Redis or RabbitMQ.

    Moves queues, delayed messages and dead letters. It deletes a message from the old broker once the ledger has it;
    run it again to continue. It does not move messages that a live dramatiq worker has fetched: stop the worker first.

    Give the application's modules: the actors define the priority and retries of their messages, and the queues that
    are read in RabbitMQ.

    \b
    Examples:
      jobledger import-dramatiq redis://old:6379/0 --import shop.actors --dry-run
      jobledger import-dramatiq redis://old:6379/0 --import shop.actors --yes
      jobledger import-dramatiq --from amqp://old:5672/ --import shop.actors
    """
    from jobs.dramatiq.importing import broker_of, import_queues

    if (url is None) is (named is None):
        raise click.UsageError("Give the URL of the old broker once: import-dramatiq URL, or --from URL.")
    where = url or named or ""
    app = open_app(options, imports=imports)
    if not dry_run:
        with _opened(app, where, namespace, queues) as old:
            count = sum(one.waiting + one.dead for one in old.queues())
        # Not while the connection is open: RabbitMQ ends it if the answer takes long.
        confirm(count, "move", yes=yes, noun="message")
    with _opened(app, where, namespace, queues) as old:
        done = import_queues(app, broker_of(), old, this_operator(), dry_run=dry_run)
        _show(out, done, where=f"{old.shown}, namespace {namespace}" if _is_redis(where) else old.shown)
    report_moved(
        done,
        noun="message",
        name="id",
        dry_run=dry_run,
        warnings=_warnings(done),
        problem=f"could not be read or stored, and stay in {'Redis' if _is_redis(where) else 'RabbitMQ'}",
        hint="List them with -o json. If the application sets an encoder, name its module with --import.",
    )


def _is_redis(url: str) -> bool:
    return url.partition("://")[0].lower() not in ("amqp", "amqps")


@contextmanager
def _opened(app: App, url: str, namespace: str, names: tuple[str, ...]) -> Iterator[OldBroker]:
    if _is_redis(url):
        from jobs.ready.dramatiq_queues import OldQueues

        old: OldBroker = OldQueues(url, namespace=namespace)
    else:
        old = _rabbit(app, url, names)
    try:
        yield old
    finally:
        old.close()


def _rabbit(app: App, url: str, names: tuple[str, ...]) -> OldBroker:
    from jobs.dramatiq.importing import broker_of

    try:
        from jobs.dramatiq.rabbit_queues import RabbitQueues
    except ModuleNotFoundError as error:
        raise CommandFailed(
            f"Reading RabbitMQ needs {error.name}.", exit_code=Exit.USAGE, hint="pip install 'jobledger[rabbitmq]'"
        ) from error
    named = {*names, *broker_of().get_declared_queues()}
    if not named:
        raise click.UsageError("No actor names a queue: name the application's modules with --import, or --queue.")
    return RabbitQueues(url, names=named, clock=app.clock)


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
    readers = sum(done.readers.values())
    if readers:
        found.append(
            f"{count_of(readers, 'consumer')} of dramatiq hold messages that they have fetched, delayed ones too: "
            "stop the workers, and import again"
        )
    return found
