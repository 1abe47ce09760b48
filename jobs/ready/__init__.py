"""What tells workers which runs may be ready: a hint, which may lie or vanish, and then costs time only."""

from jobs.ready.protocol import ReadyEntry, ReadyIndex, Taken

__all__ = ["ReadyEntry", "ReadyIndex", "Taken"]
