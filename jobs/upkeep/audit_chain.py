"""Adds new links of the audit to its chain, soon after they are written."""

from __future__ import annotations

from jobs.app import App
from jobs.ledger.operators.audit_chain import PAGE, chain_pending, has_pending
from jobs.upkeep.quick_read import quick_read

CHAIN_SECONDS = 0.8
"""Seconds between two looks for new links. Source: decision; a link has its place within a second."""


def chain_audit(app: App) -> None:
    """Give every waiting link its place, a batch in a transaction. Several processes may do it at once."""
    with quick_read(app.database) as runner:
        if not has_pending(runner):
            return
    while True:
        with app.database.write() as connection:
            if chain_pending(connection) < PAGE:
                return
