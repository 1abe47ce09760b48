"""Operator: who acts, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from jobs.errors import Forbidden

MAX_NAME = 200


class Permission(StrEnum):
    RUNS_READ = "runs:read"
    ARGUMENTS_READ = "arguments:read"
    RUNS_REPLAY = "runs:replay"
    RUNS_CANCEL = "runs:cancel"
    RUNS_PURGE = "runs:purge"
    QUEUES_WRITE = "queues:write"
    WORKERS_WRITE = "workers:write"
    SCHEDULES_WRITE = "schedules:write"
    AUDIT_READ = "audit:read"
    USERS_WRITE = "users:write"


EVERYTHING = frozenset(Permission)


@dataclass(frozen=True, slots=True)
class Operator:
    """A person or program that inspects and acts. ``name`` is what the audit says."""

    name: str
    permissions: frozenset[Permission] = EVERYTHING

    def may(self, permission: Permission) -> bool:
        return permission in self.permissions

    def need(self, permission: Permission) -> None:
        """Return only if the operator may.

        Raises:
            Forbidden: the permission is named.
        """
        if permission not in self.permissions:
            raise Forbidden(f"{self.name} may not do this.", hint=f"It needs the permission {permission}.")
