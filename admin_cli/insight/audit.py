"""`jobs audit`: lists, shows and undoes the actions of operators."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import click

from admin_cli.insight.audit_chain import anchor_audit, verify_audit
from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.options import REASON, Globals, pass_globals
from admin_cli.program.prompt import confirm
from admin_cli.runs.bulk import print_progress, show_report, stopping_between_batches
from admin_cli.terminal.columns import Column
from admin_cli.terminal.output import Output, output_options, record_options
from admin_cli.terminal.record import Section

COLUMNS = (
    Column("id", is_id=True),
    Column("started_at", heading="WHEN"),
    Column("actor", gives=1),
    Column("verb"),
    Column("target", gives=3, min_width=16),
    Column("done"),
    Column("skipped", gives=4),
    Column("state", gives=5),
    Column("reason", gives=2),
    Column("undone_by", is_id=True, is_wide=True),
    Column("undoes", is_id=True, is_wide=True),
    Column("selector", is_wide=True),
)

ENTRY_COLUMNS = (
    Column("id", lambda note: note.run_id, is_id=True),
    Column("before", lambda note: (note.before or {}).get("state")),
    Column("after", lambda note: (note.after or {}).get("state")),
    Column("new", lambda note: note.new_run_id, is_id=True),
    Column("skipped", gives=1),
)


@click.group("audit")
def audit() -> None:
    """The audit log: who changed which runs, when and why.

    \b
    Example:
      jobledger audit list
    """


@audit.command("list")
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Actions a page.")
@click.option("--cursor", metavar="TEXT", help="The cursor that the previous page printed.")
@output_options(COLUMNS)
@pass_globals
def list_actions(options: Globals, out: Output, limit: int, cursor: str | None) -> None:
    """List actions, the latest first.

    \b
    Example:
      jobledger audit list --columns actor,verb,target,reason
    """
    from jobs.operations.audit import actions as auditing

    try:
        before = UUID(cursor) if cursor else None
    except ValueError:
        raise click.UsageError(f"{cursor!r} is no cursor.") from None
    rows = auditing.list_actions(open_app(options), this_operator(), before=before, limit=limit + 1)
    more = str(rows[limit - 1]["id"]) if len(rows) > limit else None
    out.rows(rows[:limit], next_cursor=more, as_json=lambda row: row, empty="no operator action is on record")


@audit.command("show")
@click.argument("action", metavar="ACTION")
@click.option("-n", "--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="Runs shown.")
@record_options()
@pass_globals
def show_action(options: Globals, out: Output, action: str, limit: int) -> None:
    """Show an action, and each run before and after it.

    \b
    Example:
      jobledger audit show 110f1ec2
    """
    from jobs.operations.audit import actions as auditing

    found, notes = auditing.find_action(open_app(options), this_operator(), action, limit=limit)
    out.record(
        [
            Section(
                pairs=[(name.replace("_", " "), _plain(value)) for name, value in found.items() if value is not None]
            ),
            Section("Runs", columns=ENTRY_COLUMNS, rows=notes),
        ],
        data={**found, "runs": notes},
    )


@audit.command("undo")
@click.argument("action", metavar="ACTION")
@REASON
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
@record_options()
@pass_globals
def undo_action(options: Globals, out: Output, action: str, reason: str | None, yes: bool) -> None:
    """Undo an action on the runs that have not changed since.

    The other runs are listed and stay unchanged. To continue an undo that was stopped, run it again.

    \b
    Example:
      jobledger audit undo 110f1ec2 --yes
    """
    from jobs.operations.bulk.undo import plan_undo, undo

    app, operator = open_app(options), this_operator()
    found = plan_undo(app, operator, action)
    confirm(
        found["done"], f"undo the {found['verb']} of", yes=yes, noun="run" if found["target"] == "runs" else "queue"
    )
    with stopping_between_batches() as is_stopped:
        report = undo(app, operator, found, reason=reason, is_stopped=is_stopped, progress=print_progress)
    show_report(out, report, again="Run the same command again to continue.")


audit.add_command(verify_audit, "verify")
audit.add_command(anchor_audit, "anchor")


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else value
