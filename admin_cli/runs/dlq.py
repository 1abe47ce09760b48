"""`jobs dlq` and `jobs errors`: dead letters, and groups of errors."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.options import Globals, pass_globals
from admin_cli.runs.bulk import act_on, bulk_options
from admin_cli.runs.list import show_runs
from admin_cli.runs.replay import replay_options, replay_runs
from admin_cli.runs.run_columns import GROUP_COLUMNS, RUN_COLUMNS, error_of, fields_of, group_error, run_json
from admin_cli.runs.selector_options import selector_of, selector_options
from admin_cli.runs.show import show
from admin_cli.terminal import streams
from admin_cli.terminal.cells import json_text
from admin_cli.terminal.columns import Column
from admin_cli.terminal.output import Output, output_options, record_options

if TYPE_CHECKING:
    from jobs.operations.runs.selector import SelectorInput

ERROR_COLUMNS = (
    Column("fingerprint", heading="GROUP"),
    Column("count"),
    Column("dead"),
    Column("share", lambda group: f"{group.share:.0%}"),
    Column("kinds", heading="KIND", gives=2, min_width=10),
    Column("error", error_of, gives=3, min_width=14),
    Column("first_at", heading="FIRST", gives=4),
    Column("last_at", heading="LAST"),
)


@click.group("dlq")
def dlq() -> None:
    """Dead letters: list them, or group them by error.

    \b
    Example:
      jobledger dlq groups
    """


def _dead(asked: SelectorInput) -> SelectorInput:
    return replace(asked, states=("dead",))


@dlq.command("list")
@selector_options
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Runs a page.")
@click.option("--cursor", metavar="TEXT", help="The cursor that the previous page printed.")
@output_options(RUN_COLUMNS)
@pass_globals
def list_dead(options: Globals, out: Output, asked: SelectorInput, limit: int, cursor: str | None) -> None:
    """List dead letters, the latest first.

    \b
    Example:
      jobledger dlq list --kind 'Charge*' --since 1d
    """
    show_runs(open_app(options), out, _dead(asked), limit=limit, cursor=cursor)


@dlq.command("groups")
@click.option("--since", metavar="WHEN", help="Dead since: 1h (ago) or 2026-11-01.")
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="Groups.")
@output_options(GROUP_COLUMNS)
@pass_globals
def groups(options: Globals, out: Output, since: str | None, limit: int) -> None:
    """Group dead letters by kind and error, the largest group first.

    \b
    Example:
      jobledger dlq groups --since 1h
    """
    from jobs.operations.insight.dead_letters import dead_groups
    from jobs.operations.runs.selector import read_moment

    app = open_app(options)
    moment = None if since is None else read_moment(since, what="--since", now=app.clock.now())
    out.rows(
        dead_groups(app, this_operator(), since=moment, limit=limit),
        as_json=lambda group: {
            "fingerprint": group.fingerprint,
            "kind": group.kind,
            "cause": group.cause,
            "error_type": group.error_type,
            "error_message": group.error_message,
            "error": group_error(group),
            "count": group.count,
            "first_at": group.first_at,
            "last_at": group.last_at,
        },
        empty="no run is dead",
    )


dlq.add_command(show, "show")


@dlq.command("replay")
@replay_options
@pass_globals
def replay_dead(options: Globals, /, out: Output, asked: SelectorInput, how: dict[str, Any], **given: Any) -> None:
    """Replay dead letters: like `replay`, but dead runs only.

    \b
    Example:
      jobledger dlq replay --fingerprint c41d9e2a77b0 --rate 50/s --yes
    """
    replay_runs(options, out, _dead(asked), how, **given)


@dlq.command("purge")
@selector_options
@bulk_options
@record_options()
@pass_globals
def purge_dead(options: Globals, out: Output, asked: SelectorInput, how: dict[str, Any]) -> None:
    """Hide dead letters: like `purge`, but dead runs only.

    \b
    Example:
      jobledger dlq purge --until 30d --reason "too old to matter" --yes
    """
    from jobs.operations.bulk.purge import PurgeAction

    act_on(open_app(options), out, PurgeAction(), _dead(asked), how)


@dlq.command("export")
@selector_options
@pass_globals
def export(options: Globals, asked: SelectorInput) -> None:
    """Write dead letters as lines of JSON, the latest first.

    \b
    Example:
      jobledger dlq export --since 7d > dead.jsonl
    """
    from jobs.operations.runs.inspect import list_runs

    app, operator = open_app(options), this_operator()
    selector, cursor = selector_of(app, _dead(asked)), None
    while True:
        page = list_runs(app, operator, selector, limit=500, cursor=cursor)
        for run in page.runs:
            streams.write(json_text(run_json(run)) + "\n")
        cursor = page.next_cursor
        if cursor is None:
            return


@click.command("errors")
@click.option("--since", metavar="WHEN", default="1d", show_default=True, help="Since: 1h (ago) or 2026-11-01.")
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Groups.")
@output_options(ERROR_COLUMNS)
@pass_globals
def errors(options: Globals, out: Output, since: str, limit: int) -> None:
    """List errors in groups, the most frequent first.

    \b
    Example:
      jobledger errors --since 1h
    """
    from jobs.operations.insight.dead_letters import error_groups
    from jobs.operations.runs.selector import read_moment

    app = open_app(options)
    moment = read_moment(since, what="--since", now=app.clock.now())
    out.rows(
        error_groups(app, this_operator(), since=moment, limit=limit),
        as_json=lambda group: {**fields_of(group), "kinds": group.kinds.split(", ")},
        empty="nothing failed",
    )
