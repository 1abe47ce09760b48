"""Index scan: the position in the ready index of a search for runs of some kinds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from jobs.clock import Clock

SCAN_SIZE = 500
"""Ids read in one look. Source: a batch's size."""
DEEPEST = 20 * SCAN_SIZE
"""How far behind others a run is looked for; then from the front again. Source: decision; what comes after that
many runs may wait for its turn."""
SCAN_PAUSE = 0.02
"""Seconds between two looks that found nothing. Source: decision; one costs some 0.3 ms."""
REMEMBER_SECONDS = 2.0
"""How long a run that was passed over is not looked at again: what it was paused for may be over."""


class IndexScan:
    """Passes each id over once, and goes deeper with each look that finds nothing."""

    def __init__(self, clock: Clock) -> None:
        self.skip = 0
        self._clock = clock
        self._passed_over: set[UUID] = set()
        self._forget_at = 0.0

    def unknown(self, runs: Sequence[tuple[UUID, str]]) -> list[tuple[UUID, str]]:
        """Those of a look at ``skip`` that have not been passed over."""
        if self._clock.monotonic() >= self._forget_at:
            self._forget_at = self._clock.monotonic() + REMEMBER_SECONDS
            self._passed_over = set()
        return [one for one in runs if one[0] not in self._passed_over]

    def go_on(self, shown: int) -> None:
        """The look showed so many ids, and none that was claimed: the next one goes deeper."""
        is_at_end = shown < SCAN_SIZE - 1 or self.skip + SCAN_SIZE >= DEEPEST
        self.skip = 0 if is_at_end else self.skip + SCAN_SIZE

    def pass_over(self, run_ids: Iterable[UUID]) -> None:
        """These need not be looked at for a while."""
        self._passed_over.update(run_ids)
