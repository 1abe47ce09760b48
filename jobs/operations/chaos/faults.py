"""Makes one fault: chooses the worker, and asks before each whether chaos is still allowed here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from jobs.app import App
from jobs.ledger.chaos.fleet import ChaosWorker, cut_connections
from jobs.ledger.moment import ledger_moment
from jobs.operations.chaos.plan import Fault, PlannedFault
from jobs.operations.chaos.target import check_target, refuse_others


class Processes(Protocol):
    """Worker processes of this host, by number and identity. Each method returns whether it is still that process."""

    @property
    def host(self) -> str: ...
    def is_there(self, pid: int, identity: str) -> bool: ...
    def kill(self, pid: int, identity: str) -> bool: ...
    def stop(self, pid: int, identity: str) -> bool: ...
    def thaw(self, pid: int, identity: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Made:
    """What a fault did, in words, and to which worker."""

    did: str
    is_made: bool = True
    worker: ChaosWorker | None = None


NOT_MADE = "no worker was there"


class Faults:
    """Makes faults on the ledger of ``app``, and keeps what the proof must know of them."""

    def __init__(self, app: App, processes: Processes, target: str) -> None:
        self._app = app
        self._processes = processes
        self._target = target
        self._stopped: dict[str, ChaosWorker] = {}
        self.hit: set[str] = set()
        self.cuts: list[datetime] = []

    def make(self, planned: PlannedFault) -> Made:
        """Make the fault.

        Raises:
            Conflict: the mark is gone or over, or a worker has come that was not started for chaos.
            ServiceDown: a server does not answer, so that nobody knows whether chaos is allowed.
        """
        with self._app.database.read() as connection:
            check_target(connection, self._target)
            live = refuse_others(connection, self._target)
        if planned.fault is Fault.FLUSH:
            return self._flush()
        if planned.fault is Fault.CUT:
            return self._cut()
        there = [one for one in live if one.host == self._processes.host and self._is_there(one)]
        if not there:
            return Made(NOT_MADE, is_made=False)
        worker = there[min(len(there) - 1, int(planned.pick * len(there)))]
        return self._kill(worker) if planned.fault is Fault.KILL else self._stop(worker)

    def thaw(self, worker: ChaosWorker) -> bool:
        """Thaw a stopped worker. False: its process has ended, because its supervisor replaced it, say."""
        self._stopped.pop(worker.name, None)
        return worker.process is not None and self._processes.thaw(worker.pid, worker.process)

    def thaw_all(self) -> None:
        """Thaw what is still stopped."""
        for worker in list(self._stopped.values()):
            self.thaw(worker)

    def _is_there(self, worker: ChaosWorker) -> bool:
        if worker.process is None or worker.name in self._stopped:
            return False
        return self._processes.is_there(worker.pid, worker.process)

    def _kill(self, worker: ChaosWorker) -> Made:
        # Before the signal: a fault that may have been made explains what is lost.
        self.hit.add(worker.name)
        assert worker.process is not None
        if not self._processes.kill(worker.pid, worker.process):
            return Made(NOT_MADE, is_made=False)
        return Made("killed", worker=worker)

    def _stop(self, worker: ChaosWorker) -> Made:
        self.hit.add(worker.name)
        self._stopped[worker.name] = worker
        assert worker.process is not None
        if not self._processes.stop(worker.pid, worker.process):
            self._stopped.pop(worker.name, None)
            return Made(NOT_MADE, is_made=False)
        return Made("stopped", worker=worker)

    def _flush(self) -> Made:
        if self._app.ready is None:
            return Made("there is no ready index", is_made=False)
        self._app.ready.wipe()
        return Made("flushed the ready index")

    def _cut(self) -> Made:
        with self._app.database.write(urgent=True) as connection:
            self.cuts.append(ledger_moment(connection))
            schema = self._app.settings.database_schema
            count = cut_connections(connection, self._target, schema=schema)
        if not count:
            return Made("no connection was there", is_made=False)
        return Made(f"cut {count} connections" if count > 1 else "cut 1 connection")
