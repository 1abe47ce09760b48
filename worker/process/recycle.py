"""Recycling: when and why a worker process should be replaced by a fresh one."""

from __future__ import annotations

from jobs.app import App
from jobs.events import BatchSettled
from jobs.formats.size import format_size
from worker.children.memory import resident_bytes

INTERRUPTED_SECONDS = 60.0
"""The least age at which an interrupted process is replaced, so that frequent timeouts do not cost a process each.
Source: design."""
MEMORY_SECONDS = 1.0
"""How often the memory is measured; that costs 20 µs."""


class Recycling:
    """``is_out``: something hangs, leave at once. ``needs_replacement``: serve until the successor is ready."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._max_runs = app.settings.max_runs
        self._max_memory = app.settings.max_memory
        self._began = app.clock.monotonic()
        self._runs = 0
        self._interrupted = ""
        self._asked = ""
        self._look_at_memory = 0.0
        self._has_asked = False
        self.why = ""
        app.events.subscribe(BatchSettled, self._count)

    @property
    def is_out(self) -> bool:
        return bool(self.why)

    def out(self, why: str) -> None:
        """Record that something in this process hangs and will not end."""
        self.why = self.why or why

    def ask(self, why: str) -> None:
        """Ask for a replacement, for this reason."""
        self._asked = why

    def interrupted(self, kind: str) -> None:
        """Record that an interrupt landed in a job; a lock of its libraries may never be released."""
        self._interrupted = kind

    def needs_replacement(self) -> str | None:
        """Why the process should be replaced; returned once, then None."""
        if self._has_asked:
            return None
        why = self._why()
        self._has_asked = why is not None
        return why

    def _why(self) -> str | None:
        now = self._app.clock.monotonic()
        if self._max_runs is not None and self._runs >= self._max_runs:
            return f"it has performed {self._runs} runs"
        if self._max_memory is not None and now >= self._look_at_memory:
            self._look_at_memory = now + MEMORY_SECONDS
            if (used := resident_bytes()) > self._max_memory:
                return f"it uses {used >> 20}M of memory, over {format_size(self._max_memory)}"
        if self._asked:
            return self._asked
        if self._interrupted and now >= self._began + INTERRUPTED_SECONDS:
            return f"a job of the kind {self._interrupted} was interrupted"
        return None

    def _count(self, events: list[BatchSettled]) -> None:
        self._runs += sum(event.runs for event in events)
