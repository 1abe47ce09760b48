"""LedgerBroker: a dramatiq application changes its broker and has its messages in the ledger."""

from jobs.dramatiq.broker import LedgerBroker
from jobs.messages.message_outcome import Ended

__all__ = ["Ended", "LedgerBroker"]
