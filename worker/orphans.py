"""Dead processes whose attempts nobody has ended yet. None is dropped before somebody says that it is
buried.
"""

from __future__ import annotations

from collections.abc import Callable

from worker.assignment import Orphan


class Orphans:
    """Each orphan has at most one living process that has been told of it."""

    def __init__(self) -> None:
        self._waiting: dict[str, Orphan] = {}
        self._told: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def names(self) -> list[str]:
        return list(self._waiting)

    def add(self, orphan: Orphan) -> None:
        self._waiting[orphan.name] = orphan

    def take(self, process: str) -> tuple[Orphan, ...]:
        """All that nobody has been told of; from now on they are this process's to bury."""
        untold = tuple(orphan for name, orphan in self._waiting.items() if name not in self._told)
        self._told.update({orphan.name: process for orphan in untold})
        return untold

    def tell(self, process: str, send: Callable[[Orphan], bool]) -> None:
        """Tell this process of all that nobody has been told of; what it does not take stays."""
        for orphan in [one for name, one in self._waiting.items() if name not in self._told]:
            if not send(orphan):
                return
            self._told[orphan.name] = process

    def buried(self, name: str) -> None:
        self._waiting.pop(name, None)
        self._told.pop(name, None)

    def process_gone(self, process: str) -> None:
        """It was told and will not do it: another must be."""
        self._told = {name: told for name, told in self._told.items() if told != process}
