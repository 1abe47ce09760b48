"""Error budgets as text, for commands and pages."""

from __future__ import annotations

from jobs.targets.burn import Budget


def burn_rates_text(budget: Budget) -> str:
    """The burn rates of the short windows: ``5m 0.0, 30m 1.2, …``."""
    return ", ".join(f"{one.window} {one.rate:.1f}" for one in budget.burns[:-1])


def burning_text(budget: Budget) -> str:
    """Whether it burns too fast, and by which rule."""
    rule = budget.broken_rule
    return "no faster than it may" if rule is None else f"too fast, by the rule {rule.name}"
