"""LedgerBroker: an application written with dramatiq gains the ledger by changing its broker."""

from jobs.dramatiq.broker import LedgerBroker
from jobs.messages.message_outcome import Ended

__all__ = ["Ended", "LedgerBroker"]
