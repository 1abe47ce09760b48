"""ServedBroker: the part of LedgerBroker that a worker needs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from dramatiq.broker import Broker

from jobs.messages.proxy import LedgerMessage

if TYPE_CHECKING:
    from jobs.app import App


class ServedBroker(Broker, ABC):
    """The part of a LedgerBroker that workers use."""

    undeclared_actors: set[str]
    """Actors that messages were sent to here without a declaration: a worker in this process dead-letters these."""

    @abstractmethod
    def serves(self, app: App) -> None:
        """Refuse a worker over ``app`` if this broker writes to another ledger.

        Raises:
            ConfigurationError: it does.
        """

    @abstractmethod
    def dead_lettered(self, message: LedgerMessage, error: BaseException | None) -> None:
        """Remember a message that a worker in this process has dead-lettered."""
