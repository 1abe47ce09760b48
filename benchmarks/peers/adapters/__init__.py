"""One file a library; several adapters where a library has several configurations."""

from __future__ import annotations

from importlib import import_module

from benchmarks.peers.peer import Peer

NAMES = (
    "ours_postgresql", "ours_redis", "ours_sqlite", "pgqueuer", "oban", "chancy", "procrastinate", "awa", "dbos",
    "dramatiq", "dramatiq_prefetch", "celery", "huey", "taskiq",
)  # fmt: skip
"""In the order of the table. What follows an underscore is a configuration of the file before it."""


WITH_LIMITS = ("limits_ours_postgresql", "limits_ours_redis", "limits_pgqueuer", "limitsdbos", "rq")
"""Only compared by ``benchmarks.limits``: what they declare for it would slow the other measures down."""


def load(name: str) -> Peer:
    """The adapter of this name.

    Raises:
        ValueError: there is none.
    """
    if name not in (*NAMES, *WITH_LIMITS):
        raise ValueError(f"there is no adapter {name!r}; there are {', '.join(NAMES)}")
    module = import_module(f"{__name__}.{name.partition('_')[0]}")
    made: Peer = module.peer(name)
    return made
