"""The options that select runs; lists and bulk actions share them."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from jobs.app import App
    from jobs.ledger.queries.selectors import Selector
    from jobs.operations.runs.selector import SelectorInput

R = TypeVar("R")
MANY: dict[str, Any] = {"multiple": True, "metavar": "TEXT"}


def complete_ids(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The short ids of the latest runs that start with the given text."""
    from jobs.formats.short_id import short_id
    from jobs.ledger.queries.selectors import Selector
    from jobs.operations.runs.inspect import list_runs

    try:
        app, operator = _quietly(ctx)
        page = list_runs(app, operator, Selector(), limit=100)
        shown = [(short_id(run.id), f"{run.kind} {run.state}") for run in page.runs]
    except Exception:
        # Completion cannot show an error.
        return []
    return [CompletionItem(one, help=text) for one, text in shown if one.startswith(incomplete)]


def complete_kinds(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return _complete_names(ctx, incomplete, "kind")


def complete_queues(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return _complete_names(ctx, incomplete, "queue")


def complete_states(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from jobs.ledger.queries.selectors import STATE_WORDS

    return [CompletionItem(word) for word in STATE_WORDS if word.startswith(incomplete)]


def complete_causes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from jobs.states import Cause

    return [CompletionItem(one.value) for one in Cause if one.value.startswith(incomplete)]


def complete_workers(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from jobs.operations.control.workers import list_workers

    try:
        app, operator = _quietly(ctx)
        names = [one.name for one in list_workers(app, operator)]
    except Exception:
        return []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _complete_names(ctx: click.Context, incomplete: str, what: str) -> list[CompletionItem]:
    from jobs.operations.insight.names import known_names

    try:
        app, operator = _quietly(ctx)
        names = known_names(app, operator, what)
    except Exception:
        return []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _quietly(ctx: click.Context) -> tuple[App, Any]:
    from admin_cli.program.actor import this_operator
    from admin_cli.program.options import Globals
    from jobs import boot
    from jobs.settings import Settings

    root = ctx.find_root()
    options = Globals(database_url=root.params.get("database_url"), redis_url=root.params.get("redis_url"))
    return boot.build(Settings.read(**options.overrides())), this_operator()


_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.argument("ids", nargs=-1, metavar="[ID]...", shell_complete=complete_ids),
    click.option("-k", "--kind", "kinds", **MANY, shell_complete=complete_kinds, help="Kind; * and ? match."),
    click.option("-q", "--queue", "queues", **MANY, shell_complete=complete_queues, help="Queue; * and ? match."),
    click.option("-s", "--state", "states", **MANY, shell_complete=complete_states,
                 help="queued, ready, scheduled, retrying, parked, waiting, running, succeeded, dead or cancelled."),
    click.option("--cause", "causes", **MANY, shell_complete=complete_causes,
                 help="Cause of death: exhausted, gave_up, poison, expired …"),
    click.option("-g", "--fingerprint", "fingerprints", **MANY, help="Error group; `dlq groups` lists them."),
    click.option("-e", "--error", "errors", **MANY, help="Error class, or a part of its message; * and ? match."),
    click.option("--key", "keys", **MANY, help="Idempotency key."),
    click.option("-t", "--tag", "tags", **MANY, help="Tag. Slow without an index: also give a kind and a period."),
    click.option("--arg", "arguments", multiple=True, metavar="NAME=VALUE",
                 help="Argument (a.b for inner ones). Slow without an index, as --tag."),
    click.option("--parent", "parents", multiple=True, metavar="ID", help="Runs that this run enqueued."),
    click.option("--batch", "batches", multiple=True, metavar="ID", help="Members of this batch and of inner ones."),
    click.option("--since", metavar="WHEN", help="In its state since: 15m (ago) or 2026-11-01."),
    click.option("--until", metavar="WHEN", help="In its state since before this moment."),
    click.option("--where", metavar="QUERY",
                 help="'state:dead kind:Charge* args.order_id:42 error:\"Timeout*\" age:>1h'"),
)  # fmt: skip


def selector_options(command: Callable[..., R]) -> Callable[..., R]:
    """Adds ids and the selector's options to a command, as one argument, ``asked``."""

    @functools.wraps(command)
    def with_selector(*args: Any, **kwargs: Any) -> R:
        from jobs.operations.runs.selector import SelectorInput

        given = {name: kwargs.pop(name) for name in _FIELDS}
        given["ids"] = tuple(_read_ids(given["ids"]))
        kwargs["asked"] = SelectorInput(**given)
        return command(*args, **kwargs)

    decorated: Callable[..., R] = with_selector
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


_FIELDS = (
    "ids", "kinds", "queues", "states", "causes", "fingerprints", "errors", "keys", "tags", "arguments", "parents",
    "batches", "since", "until", "where",
)  # fmt: skip


def _read_ids(given: Sequence[str]) -> list[str]:
    """``-`` reads ids from stdin, one a line or separated by spaces; text after a tab is ignored."""
    ids: list[str] = []
    for one in given:
        if one != "-":
            ids.append(one)
            continue
        words = [line.split()[0] for line in sys.stdin if line.strip()]
        if not words:
            raise click.UsageError("standard input has no id.")
        ids += [word for word in words if word.lower() != "id"]
    return ids


def selector_of(app: App, asked: SelectorInput) -> Selector:
    from jobs.operations.runs.selector import make_selector

    return make_selector(app, asked)
