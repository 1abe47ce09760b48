"""Note: who did what to a schedule, and why. The one place that writes it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jobs.sql import Executor

log = logging.getLogger("jobs.audit")


@dataclass(frozen=True, slots=True)
class Operator:
    """A person or program that acts. ``name`` is what the audit says."""

    name: str


def note(
    connection: Executor,
    verb: str,
    by: Operator,
    *,
    target: str,
    reason: str | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    count: int = 1,
) -> None:
    """Record one action, in the transaction that does it."""
    log.info("An operator acted.", extra={"verb": verb, "actor": by.name, "target": target, "reason": reason})
