"""How many runs of a kind may wait at once, and what an enqueue does when no more may.

>>> class Thumbnail(Job, max_waiting=10_000, on_full="drop"):
...     image_id: int
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, get_args

from jobs.errors import EnqueueRefused
from jobs.formats.shown import shown

OnFull = Literal["raise", "drop", "wait"]
ON_FULL: tuple[str, ...] = get_args(OnFull)
MAX_WAITING = 1_000_000_000
"""The greatest limit. Source: decision; more than a ledger holds."""


class MaxWaiting(NamedTuple):
    """What a class says: most runs of its kind that wait (None: no limit), and what a full queue or kind means."""

    most: int | None
    on_full: str


max_waiting_kinds: dict[str, MaxWaiting] = {}
"""The kinds of this process that have a limit or an ``on_full`` of their own, also by their former names."""


def record_max_waiting(options: Any) -> None:
    """Remember what the class with these options says."""
    for kind in (options.kind, *options.aliases):
        if options.max_waiting is None and options.on_full == "raise":
            max_waiting_kinds.pop(kind, None)
        else:
            max_waiting_kinds[kind] = MaxWaiting(options.max_waiting, options.on_full)


def check_on_full(value: Any) -> None:
    """Check an ``on_full=`` of an enqueue call.

    Raises:
        EnqueueRefused: it is none of ``ON_FULL``.
    """
    if value is not None and value not in ON_FULL:
        raise EnqueueRefused(f"on_full= is 'raise', 'drop' or 'wait', got {shown(value)}.")
