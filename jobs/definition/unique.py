"""How long a run holds its unique key. Until then, a second enqueue with the key makes no second run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from jobs.errors import DefinitionError


@dataclass(frozen=True, slots=True)
class Unique:
    """A key is held while its run is live, and for ``hold`` from the enqueue on; None is for ever.

    Use ``WHILE_LIVE``, ``Within(timedelta)`` and ``FOREVER``.
    """

    hold: timedelta | None

    @property
    def hold_seconds(self) -> float | None:
        return None if self.hold is None else self.hold.total_seconds()


class Within(Unique):
    """Held while the run is live, and for so long after it was enqueued: at most one run in the span.

    Raises:
        DefinitionError: not a timedelta above zero.
    """

    __slots__ = ()

    def __init__(self, span: timedelta) -> None:
        if not isinstance(span, timedelta) or span <= timedelta(0):
            raise DefinitionError(f"Within(…) takes a timedelta above zero, got {span!r}.")
        super().__init__(span)


WHILE_LIVE = Unique(timedelta(0))
"""Held until the run has ended. A run that is dead and then replayed takes the key again."""

FOREVER = Unique(None)
"""Held for good, also when the run itself has been pruned."""
