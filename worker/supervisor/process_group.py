"""Process group: starts the worker processes of one supervisor, reads their messages, pings and stops them, and
assigns the cleanup after a dead process to a live one.

The process group does not know slots or the order of generations: the supervisor decides which processes start and
stop.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress

from jobs.clock import Clock
from worker.protocol.assignment import OVER_LIMIT, SHUTDOWN_LIMIT, SILENT, ZYGOTE_DIED, DeadProcess, Order
from worker.protocol.control import Control
from worker.protocol.running_table import NEVER, RunningTable
from worker.supervisor.dead_processes import DeadProcesses
from worker.supervisor.generation import Exited, Forked, Generation
from worker.supervisor.plan import WorkerPlan
from worker.supervisor.process_handle import ProcessHandle, ProcessStage

_log = logging.getLogger("jobs.supervisor")

LATE_SECONDS = 0.5
"""If a run is still recorded as performing this long after its hard limit, its process's watchdog does not work.
Source: decision; the watchdog is late by milliseconds."""
RUNNING_TABLE_SECONDS = 0.25
"""How often the running table is checked for such runs while a hard limit is near; some 20 µs a process."""
RUNNING_TABLE_REST_SECONDS = 2.0
"""How often while none is near. Source: decision; the interval of the pings."""
LAST_SIGN_SECONDS = 2.0
"""How long to wait for the death of a process that we killed after its zygote died."""
ASLEEP_SECONDS = 5.0
"""If the supervisor itself did not run for this long, it does not count missing answers: the machine may have
slept."""


class ProcessGroup:
    """Processes by name. Calls ``on_ready``, ``on_leaving`` and ``on_gone`` of the supervisor."""

    def __init__(
        self,
        plan: WorkerPlan,
        clock: Clock,
        *,
        on_ready: Callable[[ProcessHandle], None],
        on_leaving: Callable[[ProcessHandle], None],
        on_recycle: Callable[[ProcessHandle], None],
        on_gone: Callable[[ProcessHandle, str | None], None],
    ) -> None:
        self._plan = plan
        self._clock = clock
        self._on_ready = on_ready
        self._on_leaving = on_leaving
        self._on_recycle = on_recycle
        self._on_gone = on_gone
        # Regions for a second set while the first is replaced, and for processes that take long to stop.
        self.running_table = RunningTable(max(16, plan.processes * 4))
        self.dead_processes = DeadProcesses()
        self.handles: dict[str, ProcessHandle] = {}
        self._started_count = 0
        self._host = "".join(c for c in socket.gethostname() if c.isalnum() or c in "-._")[:48] or "host"
        self._next_ping = clock.monotonic() + plan.ping_every
        self._looked = clock.monotonic()
        self._next_running_table_read = self._looked

    def __iter__(self) -> Iterator[ProcessHandle]:
        return iter(list(self.handles.values()))

    def __len__(self) -> int:
        return len(self.handles)

    def start(self, slot: int, generation: Generation) -> ProcessHandle | None:
        """Start a process for the slot; None if that is not possible now."""
        region = self._free_region()
        if region is None:
            return None
        self.running_table.reset(region)
        self._started_count += 1
        name = f"{self._host}/{os.getpid()}/{region}.{self._started_count}-{secrets.token_hex(4)}"
        none_can_clean_up = not any(handle.ready and not handle.is_leaving for handle in self)
        order = Order(
            name=name,
            region=region,
            generation=generation.number,
            imports=generation.imports,
            settings=self._plan.settings,
            dead_processes=self.dead_processes.take(name) if none_can_clean_up else (),
            target=generation.target,
            metrics_folder=self._plan.metrics_folder,
        )
        ours, theirs = socket.socketpair()
        with theirs:
            if not generation.start(order, theirs):
                ours.close()
                self.dead_processes.process_gone(name)
                return None
        handle = ProcessHandle(name, region, slot, generation, Control(ours), started=self._clock.monotonic())
        handle.pid = generation.spawned_pid(name)
        self.handles[name] = handle
        return handle

    def read_messages(self, handle: ProcessHandle) -> None:
        """Read the process's messages."""
        before, was_recycling = handle.stage, handle.recycle_reason
        self._listen(handle)
        if before is ProcessStage.STARTING and handle.ready is not None:
            _log.info("Process ready", extra=_who(handle))
            self._on_ready(handle)
        if handle.stage is ProcessStage.DRAINING and before is not ProcessStage.DRAINING:
            _log.info("Process will be replaced", extra={**_who(handle), "why": handle.why_draining})
            self._on_leaving(handle)

        if handle.recycle_reason and not was_recycling:
            _log.info("Process will be replaced", extra={**_who(handle), "why": handle.recycle_reason})
            self._on_recycle(handle)

    def read_events(self, generation: Generation) -> None:
        """Read the generation's events about its processes."""
        for news in generation.news():
            handle = self.handles.get(news.name)
            match news:
                case Forked(pid=pid) if handle is not None:
                    handle.pid = pid
                case Exited(status=status, why=why) if handle is not None:
                    self._gone(handle, f"not started: {why}" if status is None else _cause(status), status)

    def give_up(self, generation: Generation) -> None:
        """The zygote is dead: kill its processes, and no longer wait for a report of their exits."""
        for handle in self:
            if handle.generation is generation and handle.given_up is None:
                handle.given_up = self._clock.monotonic() + LAST_SIGN_SECONDS
                self.kill(handle, ZYGOTE_DIED)

    def stop(self, handle: ProcessHandle, seconds: float) -> None:
        """Tell the process to finish its runs within ``seconds``; kill it a little later."""
        handle.stage = ProcessStage.STOPPING
        handle.control.send(do="stop", seconds=seconds)
        handle.kill_no_later_than(self._clock.monotonic() + seconds + self._plan.kill_after)

    def drain(self, handle: ProcessHandle) -> None:
        """Tell the process to finish its runs without a time limit, and exit."""
        handle.stage = ProcessStage.DRAINING
        handle.control.send(do="drain")

    def stop_now(self, handle: ProcessHandle) -> None:
        handle.stage = ProcessStage.STOPPING
        handle.control.send(do="stop_now")
        handle.kill_no_later_than(self._clock.monotonic() + self._plan.kill_now_after)

    def kill(self, handle: ProcessHandle, why: str) -> None:
        handle.killed = handle.killed or why
        if handle.pid is None:  # The zygote has not forked it: the zygote hangs or is dead.
            handle.generation.kill()
        else:
            with suppress(ProcessLookupError):
                os.kill(handle.pid, signal.SIGKILL)

    def do_what_is_due(self) -> None:
        """Do what is due: send pings, kill processes, assign cleanups."""
        now = self._clock.monotonic()
        slept, self._looked = now - self._looked > ASLEEP_SECONDS, now
        if now >= self._next_ping:
            self._next_ping = now + self._plan.ping_every
            for handle in self:
                if handle.pinged_at is None or slept:
                    handle.pinged_at = now
                handle.control.send(do="ping")
        read_running_table = now >= self._next_running_table_read and not slept
        if read_running_table or slept:
            self._next_running_table_read = now + self._running_table_rest(now)
        for handle in self:
            handle.control.flush()
            if read_running_table and self.running_table.over(handle.region, now - LATE_SECONDS):
                if not handle.killed:
                    _log.error("Process cannot end a run that is over its limit", extra=_who(handle))
                self.kill(handle, OVER_LIMIT)
            self._check(handle, now)
        self._assign_cleanup()

    def _running_table_rest(self, now: float) -> float:
        """For how many seconds no run can pass its limit: neither a current one nor one that starts meanwhile."""
        limits = [self.running_table.nearest(handle.region) for handle in self]
        until_late = min(limits, default=NEVER) + LATE_SECONDS - now
        return max(RUNNING_TABLE_SECONDS, min(RUNNING_TABLE_REST_SECONDS, self._plan.shortest_limit, until_late))

    def next_look(self) -> float:
        """When to call ``do_what_is_due`` again: a monotonic moment."""
        moments = [self._next_ping, self._next_running_table_read]
        for handle in self:
            if handle.given_up is not None or handle.control.has_unsent:
                return self._clock.monotonic() + 0.02
            if handle.kill_at is not None:
                moments.append(handle.kill_at)
        return min(moments)

    def _check(self, handle: ProcessHandle, now: float) -> None:
        if handle.given_up is not None:
            if self._is_silent(handle) or now >= handle.given_up:
                self._gone(handle, ZYGOTE_DIED, None)
            return
        if handle.kill_at is not None and now >= handle.kill_at:
            handle.kill_at = now + 1.0  # Kill again, in case the process id was not known the first time.
            self.kill(handle, SHUTDOWN_LIMIT)
            return
        limit = self._plan.start_limit if handle.answered_at is None else self._plan.answer_limit
        if limit is not None and handle.pinged_at is not None and now - handle.pinged_at > limit:
            if not handle.killed:
                _log.error("Process does not answer", extra={**_who(handle), "seconds": round(now - handle.pinged_at)})
            self.kill(handle, SILENT)

    def _assign_cleanup(self) -> None:
        if not len(self.dead_processes):
            return
        able = [handle for handle in self if handle.ready is not None and not handle.killed]
        # Prefer a process that stays over one that leaves, and one that answers over one with an open ping.
        able.sort(key=lambda handle: (handle.is_leaving, handle.pinged_at is not None, -(handle.answered_at or 0.0)))
        if able:
            line = able[0].control
            self.dead_processes.assign(
                able[0].name, lambda one: line.send(do="clean_up", dead_processes=[one.as_message()])
            )

    def _gone(self, handle: ProcessHandle, cause: str, status: int | None) -> None:
        self._listen(handle)  # Read its last messages: it may have finished a cleanup.
        clean = status == 0 and handle.is_leaving and not handle.killed
        del self.handles[handle.name]
        handle.control.close()
        self.dead_processes.process_gone(handle.name)
        if not clean:
            cause = handle.killed or cause
            performing, ended = self.running_table.read(handle.region)
            over = self.running_table.over(handle.region, self._clock.monotonic())
            # A process that was never ready has claimed nothing, so a crash loop leaves no cleanups.
            if handle.ready is not None or performing or ended:
                self.dead_processes.add(DeadProcess(handle.name, tuple(performing), tuple(ended), cause, tuple(over)))
        self._on_gone(handle, None if clean else cause)

    def _listen(self, handle: ProcessHandle) -> None:
        for said in handle.control.receive():
            handle.answered_at, handle.pinged_at = self._clock.monotonic(), None
            match said:
                case {"say": "ready"} if handle.ready is None:
                    handle.ready = handle.answered_at
                    if handle.stage is ProcessStage.STARTING:
                        handle.stage = ProcessStage.READY
                case {"say": "draining", "why": why} if not handle.is_leaving:
                    handle.stage, handle.why_draining = ProcessStage.DRAINING, str(why)
                case {"say": "replace", "why": why}:
                    handle.recycle_reason = str(why)
                case {"say": "roll", "asked": str(moment)}:
                    handle.roll_asked = max(handle.roll_asked, moment)
                case {"say": "cleaned_up", "name": str(name)}:
                    self.dead_processes.cleaned_up(name)
                case {"say": "pong" | "progress", **progress}:
                    handle.progress.update(progress)

    def _is_silent(self, handle: ProcessHandle) -> bool:
        self._listen(handle)
        if handle.control.closed:
            return True
        try:
            if handle.pid is not None:
                os.kill(handle.pid, 0)
        except ProcessLookupError:
            return True
        return False

    def _free_region(self) -> int | None:
        taken = {handle.region for handle in self}
        return next((region for region in range(self.running_table.regions) if region not in taken), None)


def _cause(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit {status}"


def _who(handle: ProcessHandle) -> dict[str, object]:
    return {"worker": handle.name, "worker_pid": handle.pid, "slot": handle.slot}
