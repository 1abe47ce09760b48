"""LedgerBroker: an application written with dramatiq gains the ledger by changing its broker."""

from jobs.dramatiq.broker import LedgerBroker
from jobs.dramatiq.delivery import Delivery, SeamBroker
from jobs.dramatiq.verdict import Ended

__all__ = ["Delivery", "Ended", "LedgerBroker", "SeamBroker"]
