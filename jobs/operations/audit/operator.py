"""Operator: who acts, and which permissions they have."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

from jobs.errors import Forbidden

MAX_NAME = 200


class Permission(StrEnum):
    RUNS_READ = "runs:read"
    ARGUMENTS_READ = "arguments:read"
    RUNS_ENQUEUE = "runs:enqueue"
    RUNS_REPLAY = "runs:replay"
    RUNS_CANCEL = "runs:cancel"
    RUNS_PURGE = "runs:purge"
    RUNS_ERASE = "runs:erase"
    QUEUES_WRITE = "queues:write"
    WORKERS_WRITE = "workers:write"
    SCHEDULES_WRITE = "schedules:write"
    AUDIT_READ = "audit:read"
    USERS_WRITE = "users:write"


EVERYTHING = frozenset(Permission)
READS = frozenset({Permission.RUNS_READ, Permission.ARGUMENTS_READ, Permission.AUDIT_READ})
"""What changes nothing."""

ROLES: dict[str, frozenset[Permission]] = {
    # Arguments, results and the audit hold personal data: not for whoever only watches.
    "viewer": frozenset({Permission.RUNS_READ}),
    # What can be taken back.
    "operator": EVERYTHING - {Permission.RUNS_ERASE, Permission.WORKERS_WRITE, Permission.USERS_WRITE},
    "admin": EVERYTHING,
}
"""A role is a set of permissions. Source: decision."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What an operator signed in with, and until when it holds. ``user_id`` is None for a link made at a shell."""

    kind: Literal["session", "token"]
    id: UUID
    user_id: UUID | None
    expires_at: datetime

    @property
    def is_token(self) -> bool:
        return self.kind == "token"


@dataclass(frozen=True, slots=True)
class Operator:
    """A person or program that inspects and acts. ``name`` is what the audit says.

    ``credential`` is None for who is at the command line, and may do everything that the ledger's user may.
    """

    name: str
    permissions: frozenset[Permission] = EVERYTHING
    credential: Credential | None = field(default=None, compare=False)

    def may(self, permission: Permission) -> bool:
        return permission in self.permissions

    def need(self, permission: Permission) -> None:
        """Return only if the operator may.

        Raises:
            Forbidden: the permission is named.
        """
        if permission not in self.permissions:
            raise Forbidden(f"{self.name} may not do this.", hint=f"It needs the permission {permission}.")
