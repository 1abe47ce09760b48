"""The targets of queues and kinds, and their error budgets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jobs.app import App
from jobs.database.sql import Executor
from jobs.ledger.targets.budgets import read_budgets
from jobs.ledger.targets.set_targets import Key, TargetInForce, read_in_force, target_in_force
from jobs.operations.audit.operator import Operator, Permission
from jobs.settings import Settings
from jobs.targets.burn import Budget


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSummary:
    """The target of a queue or a kind.

    Attributes:
        what: ``queue`` or ``kind``.
        latency_seconds: how long a ready run may wait; None: no target.
        success: the share of ended runs that shall succeed; None: no target.
        is_set: whether an operator set a part of it; else the class declares it.
        budget: the error budget; None without a success target.
    """

    what: str
    name: str
    latency_seconds: int | None
    success: float | None
    is_set: bool
    budget: Budget | None

    @property
    def is_burning(self) -> bool:
        """Whether its error budget burns too fast."""
        return self.budget is not None and self.budget.broken_rule is not None

    def as_data(self) -> dict[str, Any]:
        """As commands and the API give it."""
        budget = self.budget
        shown: dict[str, Any] = {
            "what": self.what, "name": self.name, "latency_seconds": self.latency_seconds, "success": self.success,
            "is_set": self.is_set, "budget": None,
        }  # fmt: skip
        if budget is not None:
            burns = [
                {"window": one.window, "succeeded": one.count.succeeded, "dead": one.count.dead, "rate": one.rate}
                for one in budget.burns
            ]
            rule = budget.broken_rule
            burning = rule.name if rule is not None else None
            shown["budget"] = {"left": budget.left, "since": budget.since, "burning": burning, "burns": burns}
        return shown


def list_targets(app: App, operator: Operator) -> list[TargetSummary]:
    """Every target in force: those of queues, then those of kinds, by name."""
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        return read_targets(connection, app.settings)


def find_target(app: App, operator: Operator, what: str, name: str) -> TargetSummary:
    """The target of a queue or a kind; without one, each part is None."""
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        found = target_in_force(connection, what, name)
        if found is not None:
            return _summaries(connection, app.settings, {(what, name): found})[0]
    return TargetSummary(what=what, name=name, latency_seconds=None, success=None, is_set=False, budget=None)


def read_targets(connection: Executor, settings: Settings) -> list[TargetSummary]:
    """The same as ``list_targets``, for a caller that has checked the permission and reads already."""
    return _summaries(connection, settings, read_in_force(connection))


def _summaries(connection: Executor, settings: Settings, targets: Mapping[Key, TargetInForce]) -> list[TargetSummary]:
    budgets = {(one.what, one.name): one for one in read_budgets(connection, settings, targets=targets)}
    return [
        TargetSummary(
            what=key[0], name=key[1], latency_seconds=one.target.latency_seconds, success=one.target.success,
            is_set=one.by_operator is not None, budget=budgets.get(key),
        )
        for key, one in targets.items()
    ]  # fmt: skip
