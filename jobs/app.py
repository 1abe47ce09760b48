"""App: what one process works with (settings, database, ready index, clock, events)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from jobs.backlogs import Backlogs
from jobs.clock import Clock, SystemClock
from jobs.database.engine import Database
from jobs.enqueue_group import EnqueueGroup
from jobs.events import Events
from jobs.ready.protocol import ReadyIndex
from jobs.sealing.seals import Seals
from jobs.settings import Settings


@dataclass(frozen=True, slots=True)
class App:
    """Settings, database, ready index, clock and events of this process.

    ``ready`` is None where the ledger itself is the index.
    """

    settings: Settings
    database: Database
    ready: ReadyIndex | None = None
    clock: Clock = field(default_factory=SystemClock)
    events: Events = field(default_factory=Events)
    enqueue_group: EnqueueGroup = field(default_factory=EnqueueGroup)
    backlogs: Backlogs = field(default_factory=Backlogs)
    seals: Seals = field(default_factory=Seals)
    before_close: list[Callable[[], None]] = field(default_factory=list)
    """What works with this App beside its maker, and must end before the connections are closed."""

    def close(self) -> None:
        """Run the ``before_close`` callbacks, then close every connection."""
        while self.before_close:
            self.before_close.pop()()
        self.database.close()
        if self.ready is not None:
            self.ready.close()
