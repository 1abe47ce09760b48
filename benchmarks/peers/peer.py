"""The protocol of an adapter: how to install a library, prepare a schema, enqueue, start a worker and count.

An adapter's file is imported by the driver, which has none of the libraries, and by the library's own environment. So
it imports its library in functions only. ``prepare``, ``client`` and the worker run in the library's environment.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

THREADS = 8
"""Threads of a worker process where the library has threads: the default of ours and of dramatiq."""
COROUTINES = 100
"""Jobs that a worker process has under way at once where the library has coroutines."""
KEYS, KEYED_MOST = 100, 2
"""Of jobs under a limit by key: the keys, and how many of each may be under way at once."""
RUNNER = ("-m", "benchmarks.peers.runner")
"""Runs ``Peer.work`` of the adapter that is named next, for libraries without a command for it."""
NAMES = {"postgres": "BENCH_POSTGRES", "redis": "BENCH_REDIS", "folder": "BENCH_FOLDER"}


@dataclass(frozen=True)
class Place:
    """An empty database, an empty Redis, and a folder for what the jobs report."""

    postgres: str
    redis: str
    folder: str

    @classmethod
    def of_environment(cls) -> Place:
        """The one that the driver has put into the environment."""
        return cls(**{field: os.environ[name] for field, name in NAMES.items()})

    def environment(self) -> dict[str, str]:
        return {name: getattr(self, field) for field, name in NAMES.items()}


@dataclass(frozen=True)
class Calls:
    """The calls of a connected client. Each returns when the job is as safe as the library makes it."""

    one: Callable[[int], Awaitable[Any]]
    """Enqueue a job that does nothing, with this number and ``body.TEXT``."""
    late: Callable[[float], Awaitable[Any]]
    """Enqueue a job that reports how late after this moment it was begun."""
    many: Callable[[range], Awaitable[Any]] | None = None
    """Enqueue these jobs at once; None if the library has no call for that."""
    join: Callable[[int], Awaitable[Any]] | None = None
    """Enqueue a join of so many jobs that do nothing, which reports its end; None if that is not measured."""
    keyed: Callable[[range], Awaitable[Any]] | None = None
    """Enqueue these jobs, each under a limit of ``KEYED_MOST`` for its number modulo ``KEYS``; None if it has no such
    limit."""


class Servers(Protocol):
    """The driver's own connections to the servers, for counting."""

    def sql(self, statement: str) -> Any:
        """The first value of what a statement answers."""
        ...

    def redis(self, *command: str) -> Any:
        """Redis's answer to a command."""
        ...


class Peer:
    """One library in one configuration."""

    adapter: str
    """Its name in ``adapters.NAMES``."""
    name: str
    """Its name in the table."""
    package: str
    """The distribution whose version the table shows."""
    requires: tuple[str, ...]
    """The pinned packages that pip installs; empty if the driver's own environment is used."""
    python: tuple[int, int] = (3, 11)
    """The oldest Python that it runs on."""
    keeps: str
    """The data that remains of a successful job."""
    is_durable = True
    """Whether a job is on disk before the call that enqueues it returns."""
    settles = True
    """Whether ``left`` distinguishes a job that is done from one that was taken."""
    share = 1.0
    """The share of a drain's jobs to run; smaller for a library that would take minutes."""

    def __init__(self, adapter: str) -> None:
        self.adapter = adapter

    def settings(self, place: Place) -> dict[str, str]:
        """Additional environment variables of its processes."""
        return {}

    async def prepare(self, place: Place) -> None:
        """Make its schema, if it has one."""

    def client(self, place: Place) -> AbstractAsyncContextManager[Calls]:
        """A connected client."""
        raise NotImplementedError

    def workers(self, processes: int) -> list[list[str]]:
        """The commands that start ``processes`` worker processes, without the Python that runs them."""
        return [[*RUNNER, self.adapter] for _ in range(processes)]

    def work(self, place: Place) -> None:
        """Be a worker process until it is stopped, where ``workers`` is not overridden."""
        raise NotImplementedError

    def left(self, servers: Servers) -> bool:
        """Whether any job is not done and recorded."""
        raise NotImplementedError
