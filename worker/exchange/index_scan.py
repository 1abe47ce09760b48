"""Index scan: the position in the ready index of a search for runs of some kinds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from jobs.clock import Clock

SCAN_SIZE = 500
"""Ids read at once. Source: the size of a batch."""
DEEPEST = 20 * SCAN_SIZE
"""How deep a scan goes before it starts from the front again. Source: decision; a run behind so many others may wait
for its turn."""
SCAN_PAUSE = 0.02
"""Seconds between two reads that found nothing. Source: decision; one costs some 0.3 ms."""
REMEMBER_SECONDS = 2.0
"""How long a skipped run is not examined again; after that its queue may no longer be paused."""


class IndexScan:
    """Skips each id once, and goes deeper with each read that finds nothing."""

    def __init__(self, clock: Clock) -> None:
        self.skip = 0
        self._clock = clock
        self._passed_over: set[UUID] = set()
        self._forget_at = 0.0

    def unknown(self, runs: Sequence[tuple[UUID, str]]) -> list[tuple[UUID, str]]:
        """The ids read at ``skip`` that have not been skipped."""
        if self._clock.monotonic() >= self._forget_at:
            self._forget_at = self._clock.monotonic() + REMEMBER_SECONDS
            self._passed_over = set()
        return [one for one in runs if one[0] not in self._passed_over]

    def go_on(self, shown: int) -> None:
        """Record a read of ``shown`` ids of which none was claimed: the next read goes deeper."""
        is_at_end = shown < SCAN_SIZE - 1 or self.skip + SCAN_SIZE >= DEEPEST
        self.skip = 0 if is_at_end else self.skip + SCAN_SIZE

    def pass_over(self, run_ids: Iterable[UUID]) -> None:
        """Skip these runs for a while."""
        self._passed_over.update(run_ids)
