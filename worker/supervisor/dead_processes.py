"""Dead processes whose attempts nobody has ended yet; each is kept until a process reports its cleanup."""

from __future__ import annotations

from collections.abc import Callable

from worker.protocol.assignment import DeadProcess


class DeadProcesses:
    """Each dead process has at most one living process that has been told of it."""

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
        """All that nobody has been told of; from now on they are this process's to bury."""
        untold = tuple(dead_process for name, dead_process in self._waiting.items() if name not in self._told)
        self._told.update({dead_process.name: process for dead_process in untold})
        return untold

    def tell(self, process: str, send: Callable[[DeadProcess], bool]) -> None:
        """Tell this process of all that nobody has been told of; what it does not take stays."""
        for dead_process in [one for name, one in self._waiting.items() if name not in self._told]:
            if not send(dead_process):
                return
            self._told[dead_process.name] = process

    def cleaned_up(self, name: str) -> None:
        self._waiting.pop(name, None)
        self._told.pop(name, None)

    def process_gone(self, process: str) -> None:
        """It was told and will not do it: another must be."""
        self._told = {name: told for name, told in self._told.items() if told != process}
