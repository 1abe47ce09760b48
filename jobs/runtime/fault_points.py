"""Fault points: named moments between two commits, at which a test may stop or kill the process."""

from __future__ import annotations

from collections.abc import Callable

POINTS = ("gather:begun", "gather:children", "gather:sealed", "wait:begun")
"""Every name, in the order in which a run comes to them."""
STORED_POINTS = ("stored:begun", "stored:content", "stored:complete", "stored:removed", "stored:deleted")
"""The same of a stored value, from its upload to the deletion of its content."""

on_reached: Callable[[str], None] | None = None
"""What a test calls at each point; None in production."""


def reached(point: str) -> None:
    """This process has come to ``point``."""
    if on_reached is not None:
        on_reached(point)
