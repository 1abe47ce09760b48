"""The ready index: Redis tells workers which runs may be ready; it is a hint, and the ledger decides."""

from jobs.ready.protocol import ReadyBatch, ReadyEntry, ReadyIndex

__all__ = ["ReadyBatch", "ReadyEntry", "ReadyIndex"]
