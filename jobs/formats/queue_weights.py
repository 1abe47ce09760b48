"""Parses which queues a worker serves, and the weight of each: ``mail``, ``reports:3``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MAX_WEIGHT = 1000
"""Source: decision; queues with a greater difference need workers of their own."""


@dataclass(frozen=True, slots=True)
class Served:
    """A queue and its weight; None: no weight was given."""

    queue: str
    weight: int | None = None


def read_served(words: Sequence[str]) -> list[Served]:
    """The queues that ``--queue`` and ``JOBS_QUEUES`` name.

    The part after the last colon of a word is a weight if it has digits only.

    Raises:
        ValueError: an invalid weight, or a queue named twice.
    """
    found = [_read(word) for word in words]
    names = [one.queue for one in found]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name} is named twice")
    return found


def served_word(queue: str) -> str:
    """The word for this queue: a queue whose own name ends like a weight needs a weight after it."""
    _, colon, digits = queue.rpartition(":")
    return f"{queue}:1" if colon and digits.isascii() and digits.isdigit() else queue


def _read(word: str) -> Served:
    name, colon, digits = word.rpartition(":")
    if not colon or not (digits.isascii() and digits.isdigit()):
        return Served(word)
    weight = int(digits[:10])
    if not name or not 1 <= weight <= MAX_WEIGHT:
        raise ValueError(
            f"{word}: a queue's weight is a whole number from 1 to {MAX_WEIGHT}, as in mail:3"
            " (write mail:3:1 for a queue that is called mail:3)"
        )
    return Served(name, weight)
