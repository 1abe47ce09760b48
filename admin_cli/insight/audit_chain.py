"""`jobs audit verify` and `jobs audit anchor`: whether the audit is as it was written."""

from __future__ import annotations

import click

from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.exits import CommandFailed, Exit
from admin_cli.program.options import Globals, pass_globals
from admin_cli.terminal.output import Output, record_options
from admin_cli.terminal.record import Section


@click.command("verify")
@click.option("--anchor", metavar="TEXT", help="A head that `audit anchor` printed: the chain must still contain it.")
@record_options()
@pass_globals
def verify_audit(options: Globals, out: Output, anchor: str | None) -> None:
    """Verify that no row of the audit was changed by hand.

    Each row is covered by a chain of hashes. Exit 6, with the first row that was altered, removed, inserted, reordered
    or cut off. Whoever can write to the database can also write a new chain: only an anchor that is kept elsewhere
    proves that nobody did.

    \b
    Example:
      jobledger audit verify
    """
    from jobs.operations.audit.verify import verify

    found = verify(open_app(options), this_operator(), anchor=anchor)
    fault = found.fault
    pairs: list[tuple[str, object]] = [
        ("audit", "not as it was written" if fault is not None else "as it was written"),
        ("links", found.links),
        ("actions", found.actions),
        ("runs", found.runs),
        ("waiting links", found.pending or None),
        ("pruned actions", found.pruned or None),
        ("actions from before the chain", found.before_chain or None),
        ("head", str(found.head) if found.head is not None else None),
    ]
    out.record(
        [Section(pairs=[(name, value) for name, value in pairs if value is not None])],
        data={
            "is_whole": fault is None,
            "fault": {"what": fault.what, "row": fault.row, "why": fault.why} if fault is not None else None,
            "links": found.links,
            "actions": found.actions,
            "runs": found.runs,
            "pending": found.pending,
            "pruned": found.pruned,
            "before_chain": found.before_chain,
            "head": str(found.head) if found.head is not None else None,
        },
    )
    if fault is not None:
        raise CommandFailed(
            f"{fault}.",
            exit_code=Exit.UNHEALTHY,
            hint="Compare with a backup. Rows before it are as they were written.",
        )


@click.command("anchor")
@record_options()
@pass_globals
def anchor_audit(options: Globals, out: Output) -> None:
    """Print the head of the audit's chain, to be kept elsewhere.

    Keep it where the database's users cannot write: a ticket, a mail, another system. `audit verify --anchor` checks
    that the chain still contains it, so that everything up to it is as it was.

    \b
    Example:
      jobledger audit anchor
    """
    from jobs.operations.audit.verify import anchor

    head = anchor(open_app(options), this_operator())
    out.record(
        [Section(pairs=[("anchor", str(head))])],
        data={"anchor": str(head), "seq": head.seq, "hash": head.hash},
    )
