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
    SEALED_READ = "sealed:read"
    SEALED_WRITE = "sealed:write"
    RUNS_ENQUEUE = "runs:enqueue"
    RUNS_REPLAY = "runs:replay"
    RUNS_CANCEL = "runs:cancel"
    RUNS_SIGNAL = "runs:signal"
    RUNS_PURGE = "runs:purge"
    RUNS_ERASE = "runs:erase"
    QUEUES_WRITE = "queues:write"
    WORKERS_WRITE = "workers:write"
    SCHEDULES_WRITE = "schedules:write"
    AUDIT_READ = "audit:read"
    USERS_WRITE = "users:write"


EVERYTHING = frozenset(Permission)
READS = frozenset({Permission.RUNS_READ, Permission.ARGUMENTS_READ, Permission.AUDIT_READ})
"""Permissions that change nothing."""

ROLES: dict[str, frozenset[Permission]] = {
    # Arguments, results and the audit contain personal data, so a viewer does not see them.
    "viewer": frozenset({Permission.RUNS_READ}),
    # Actions that can be undone.
    "operator": EVERYTHING
    - {
        Permission.RUNS_ERASE,
        Permission.SEALED_READ,
        Permission.SEALED_WRITE,
        Permission.WORKERS_WRITE,
        Permission.USERS_WRITE,
    },
    "admin": EVERYTHING,
}
"""A role is a set of permissions. Source: decision."""


@dataclass(frozen=True, slots=True)
class Credential:
    """An operator's credential, and when it ends. ``user_id`` is None for a link made at a shell."""

    kind: Literal["session", "token"]
    id: UUID
    user_id: UUID | None
    expires_at: datetime

    @property
    def is_token(self) -> bool:
        return self.kind == "token"


@dataclass(frozen=True, slots=True)
class Operator:
    """A person or program that inspects and acts. ``name`` appears in the audit.

    ``credential`` is None at the command line, which may do everything that the ledger's database user may.
    """

    name: str
    permissions: frozenset[Permission] = EVERYTHING
    credential: Credential | None = field(default=None, compare=False)

    def may(self, permission: Permission) -> bool:
        return permission in self.permissions

    def need(self, permission: Permission) -> None:
        """Return only if the operator has the permission.

        Raises:
            Forbidden: they do not; the message names the permission.
        """
        if permission not in self.permissions:
            raise Forbidden(f"{self.name} may not do this.", hint=f"It needs the permission {permission}.")
