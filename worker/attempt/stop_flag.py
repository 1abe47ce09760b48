"""Stop flag, read by ``self.run.should_stop``: the process is stopping, or this run is to end."""

from __future__ import annotations

from jobs.runtime.attempt_state import StopSign


class StopFlag:
    """The flag of one run. ``set`` affects this run alone."""

    __slots__ = ("_is_set", "_process")

    def __init__(self, process: StopSign) -> None:
        self._process = process
        self._is_set = False

    def set(self) -> None:
        self._is_set = True

    def is_set(self) -> bool:
        return self._is_set or self._process.is_set()
