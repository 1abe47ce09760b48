"""Lets an operator's action on runs reach those that have moved to history: they come back first."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from jobs.database.sql import Executor
from jobs.ledger.history_rows import bring_back
from jobs.ledger.operators.versions import Version, versions


def held_versions(session: Executor, run_ids: Sequence[UUID], *, has_history: bool) -> dict[UUID, Version]:
    """The versions of these runs, locked until the transaction ends; those in history are moved back before.

    The hot table goes first: a move that is under way ends while we wait for its lock, and then the run is in history.

    Args:
        has_history: whether there is one.
    """
    found = versions(session, run_ids, lock=True)
    missing = [one for one in run_ids if one not in found] if has_history else []
    if not missing or not bring_back(session, missing):
        return found
    return found | versions(session, missing, lock=True)
