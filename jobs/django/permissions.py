"""What a user of Django may do in the ledger: each permission of Django's allows one of ours."""

from __future__ import annotations

from typing import Any

from jobs.operations.audit.operator import MAX_NAME, Operator, Permission

APP = "jobledger"
PERMISSIONS = {
    f"{APP}.view_run": Permission.RUNS_READ,
    f"{APP}.view_arguments": Permission.ARGUMENTS_READ,
    f"{APP}.view_sealed": Permission.SEALED_READ,
    f"{APP}.change_sealed": Permission.SEALED_WRITE,
    f"{APP}.enqueue_run": Permission.RUNS_ENQUEUE,
    f"{APP}.replay_run": Permission.RUNS_REPLAY,
    f"{APP}.cancel_run": Permission.RUNS_CANCEL,
    f"{APP}.signal_run": Permission.RUNS_SIGNAL,
    f"{APP}.purge_run": Permission.RUNS_PURGE,
    f"{APP}.erase_run": Permission.RUNS_ERASE,
    f"{APP}.change_queues": Permission.QUEUES_WRITE,
    f"{APP}.change_workers": Permission.WORKERS_WRITE,
    f"{APP}.change_schedules": Permission.SCHEDULES_WRITE,
    f"{APP}.view_audit": Permission.AUDIT_READ,
    f"{APP}.change_users": Permission.USERS_WRITE,
}
"""What a permission of Django allows in the ledger. ``models.Run`` declares them."""


def operator_of(user: Any) -> Operator:
    """The operator that a user of Django is, with the permissions that Django gives."""
    allowed = frozenset(ours for theirs, ours in PERMISSIONS.items() if user.has_perm(theirs))
    return Operator(f"django:{user.get_username()}"[:MAX_NAME], allowed)
