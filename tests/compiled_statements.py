"""Compiles each statement once a test process, and not once for each engine that a test makes.

SQLAlchemy keeps compiled statements with their engine. Most tests make an engine of their own and run a few statements
on it, and would spend more time compiling them than all the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.util import LRUCache

from jobs.database.connector import Connector

MOST = 4000
"""Statements that are kept."""


class CompiledStatements:
    """The compiled statements of all engines of one kind of server. Each engine has a dialect of its own, equal to
    those of the others, and SQLAlchemy puts it first in its key."""

    def __init__(self) -> None:
        self._kept: LRUCache[Any, Any] = LRUCache(MOST)

    def get(self, key: tuple[Any, ...]) -> Any:
        return self._kept.get(self._of(key))

    def __setitem__(self, key: tuple[Any, ...], compiled: Any) -> None:
        self._kept[self._of(key)] = compiled

    def clear(self) -> None:
        self._kept.clear()

    @staticmethod
    def _of(key: tuple[Any, ...]) -> tuple[Any, ...]:
        dialect, *rest = key
        return type(dialect), dialect.server_version_info, *rest


def share() -> CompiledStatements:
    """From now on, engines of ledgers share their compiled statements."""
    statements, make = CompiledStatements(), Connector._make_engine

    def made(self: Connector) -> Engine:
        engine = make(self)
        engine._compiled_cache = statements  # type: ignore[assignment]
        return engine

    Connector._make_engine = made  # type: ignore[method-assign]
    return statements


@contextmanager
def shared() -> Iterator[CompiledStatements]:
    """During the block, engines of ledgers share their compiled statements."""
    make = Connector._make_engine
    try:
        yield share()
    finally:
        Connector._make_engine = make  # type: ignore[method-assign]
