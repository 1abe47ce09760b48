"""Dead processes whose attempts are not ended yet; each is kept until a process reports its cleanup."""

from __future__ import annotations

from collections.abc import Callable

from worker.protocol.assignment import DeadProcess


class DeadProcesses:
    """Each dead process is assigned to at most one live process at a time."""

    def __init__(self) -> None:
        self._waiting: dict[str, DeadProcess] = {}
        self._told: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def names(self) -> list[str]:
        return list(self._waiting)

    def add(self, dead_process: DeadProcess) -> None:
        self._waiting[dead_process.name] = dead_process

    def take(self, process: str) -> tuple[DeadProcess, ...]:
        """Returns all unassigned dead processes, and assigns their cleanup to ``process``."""
        untold = tuple(dead_process for name, dead_process in self._waiting.items() if name not in self._told)
        self._told.update({dead_process.name: process for dead_process in untold})
        return untold

    def assign(self, process: str, send: Callable[[DeadProcess], bool]) -> None:
        """Send all unassigned dead processes to ``process``; those that ``send`` refuses stay unassigned."""
        for dead_process in [one for name, one in self._waiting.items() if name not in self._told]:
            if not send(dead_process):
                return
            self._told[dead_process.name] = process

    def cleaned_up(self, name: str) -> None:
        self._waiting.pop(name, None)
        self._told.pop(name, None)

    def process_gone(self, process: str) -> None:
        """The process is gone: its unfinished cleanups become unassigned."""
        self._told = {name: told for name, told in self._told.items() if told != process}
