"""Reports changed source files below some folders, for ``jobs dev --reload``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

POLL_SECONDS = 0.5
"""Seconds between two scans. Source: decision; a thousand files cost some 5 ms."""
_SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages"})


class Watch:
    """``has_changed`` compares the files with those at the last call."""

    def __init__(self, folders: Sequence[str], *, suffixes: tuple[str, ...] = (".py",)) -> None:
        self._folders = tuple(folders)
        self._suffixes = suffixes
        self._seen = self._look()

    def has_changed(self) -> bool:
        """Whether a file was written, added or removed since the last call."""
        before, self._seen = self._seen, self._look()
        return before != self._seen

    def _look(self) -> dict[str, tuple[int, int]]:
        return {path: stamp for folder in self._folders for path, stamp in _files(folder, self._suffixes)}


def _files(folder: str, suffixes: tuple[str, ...]) -> Iterator[tuple[str, tuple[int, int]]]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name in _SKIPPED:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    yield from _files(entry.path, suffixes)
                elif entry.name.endswith(suffixes):
                    found = entry.stat()
                    yield entry.path, (found.st_mtime_ns, found.st_size)
    except OSError:
        return  # Removed or unreadable: editors move files around.
