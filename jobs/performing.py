"""What the parts of a run (its steps, cursors and transaction) need of it. ``Run`` is made of them, above."""

from __future__ import annotations

from typing import Any, Protocol
from uuid import UUID

from jobs.app import App


class Performing(Protocol):
    """A run that is being performed. ``written`` and ``chunk`` are its open transactions, if any."""

    app: App
    written: Any
    chunk: Any
    had_transaction: bool
    left_monotonic: float | None
    step_names: set[str]

    @property
    def id(self) -> UUID: ...
    @property
    def kind(self) -> str: ...
    @property
    def attempt(self) -> int: ...
    @property
    def token(self) -> UUID: ...
    @property
    def should_stop(self) -> bool: ...
    @property
    def open_session(self) -> Any: ...
    def refuse_inside(self, what: str) -> None: ...
    def rollback(self) -> None: ...
