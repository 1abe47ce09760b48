"""Health of a worker: the liveness and readiness answers, and what each process reports to its supervisor.

/healthz   the supervisor works; checks no other service, so that an outage elsewhere restarts no worker
/readyz    at least one process performs runs: it makes progress, and its ledger and ready index answer
/metrics   the counts of all processes
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from jobs.clock import Clock
from jobs.events import BatchSettled, Events, ServiceFailed
from jobs.runtime.failure import storable

STUCK_SECONDS = 60.0
"""A process whose loops make no progress for this long is stuck. Source: decision; above every time limit of ours."""
SILENT_SECONDS = 15.0
"""A supervisor whose loop makes no progress for this long hangs; it turns every 2 s. Source: the limit for
processes."""
RECENT_SECONDS = 10.0
"""How long a failure of the ready index is reported, since no event says when it is over."""


REPEATED = 3
"""Failures in a row from which on they are recorded in the ledger. Source: decision; a restart of it makes one or
two."""
PLURALS = {"claim": "claims", "settle": "settlements"}
MAX_PROBLEM = 300


class Failing(NamedTuple):
    """A failing operation: its last failure, the reason, and the number of failures in a row."""

    at: float
    why: str
    times: int


class ProcessHealth:
    """The health of a worker process's services and threads, seen from inside; sent with each pong."""

    def __init__(self, clock: Clock, events: Events) -> None:
        self._clock = clock
        self._failed: dict[tuple[str, str], Failing] = {}
        self.turned_at = clock.monotonic()
        self.answered_at = 0.0
        self._settled_at = 0.0
        events.subscribe(ServiceFailed, self._count_failure)
        events.subscribe(BatchSettled, self._record_settled)

    def turned(self) -> None:
        """Record a turn of the fetcher that claimed what was needed."""
        self.turned_at = self._clock.monotonic()

    def answered(self) -> None:
        """Record that the ledger answered a claim or a renewal."""
        self.answered_at = self._clock.monotonic()

    def report(self) -> dict[str, object]:
        """Plain data: ``problems`` as text, and the seconds since the last turn of the threads."""
        now = self._clock.monotonic()
        problems = [
            {"what": "database" if service == "ledger" else "index", "why": one.why}
            for (service, operation), one in self._open()
        ]
        return {"problems": problems, "turned_seconds_ago": round(now - self.turned_at, 1)}

    def repeated(self) -> str | None:
        """The claims and settlements that fail repeatedly, as text to store in the ledger; None if there are none."""
        found = [
            f"{PLURALS[operation]} fail: {one.why}"
            for (service, operation), one in self._open()
            if service == "ledger" and operation in PLURALS and one.times >= REPEATED
        ]
        return storable("; ".join(found))[:MAX_PROBLEM] or None

    def _open(self) -> list[tuple[tuple[str, str], Failing]]:
        """The failures after which the operation has not succeeded."""
        for about, one in list(self._failed.items()):
            if self._is_over(about, one.at):
                self._failed.pop(about, None)
        return list(self._failed.items())

    def _is_over(self, about: tuple[str, str], at: float) -> bool:
        is_old = self._clock.monotonic() - at > RECENT_SECONDS
        service, operation = about
        if service != "ledger":
            return is_old
        if operation == "claim":
            # One queue may fail while another is served, so a turn of the fetcher does not end a failure.
            return self.turned_at > at and is_old
        return (self._settled_at if operation == "settle" else self.answered_at) > at

    def _count_failure(self, batch: list[ServiceFailed]) -> None:
        for one in batch:
            about = (one.service, one.operation)
            before = self._failed.get(about)
            times = before.times + 1 if before is not None and not self._is_over(about, before.at) else 1
            self._failed[about] = Failing(self._clock.monotonic(), one.error, times)

    def _record_settled(self, batch: list[BatchSettled]) -> None:
        self._settled_at = self._clock.monotonic()


def liveness(state: dict[str, Any]) -> tuple[bool, dict[str, object]]:
    """Whether the supervisor works, and the evidence."""
    silent = float(state["looked_seconds_ago"])
    return silent < SILENT_SECONDS, {"alive": silent < SILENT_SECONDS, "looked_seconds_ago": round(silent, 1)}


def readiness(state: dict[str, Any]) -> tuple[bool, dict[str, object]]:
    """Whether at least one process performs runs, and what is wrong with the others."""
    problems: list[dict[str, object]] = []
    able = 0
    for handle in state["members"]:
        if handle["stage"] != "ready":
            continue
        found = list(_problems_of(handle))
        problems += found
        able += not found
    if state["is_stopping"]:
        problems.append({"what": "worker", "why": "it is stopping"})
    if state["crash_looping"]:
        problems.append({"what": "processes", "why": f"{state['crash_looping']} die as soon as they start"})
    if not any(handle["stage"] == "ready" for handle in state["members"]):
        problems.append({"what": "processes", "why": "none is ready"})
    is_ready = able > 0 and not state["is_stopping"] and liveness(state)[0]
    facts = {"ready": is_ready, "processes": state["processes"], "performing": able, "problems": problems}
    return is_ready, facts


def _problems_of(handle: dict[str, Any]) -> Iterator[dict[str, object]]:
    process, progress = handle["name"], handle["progress"]
    if (handle["heard_seconds_ago"] or 0.0) > SILENT_SECONDS:
        yield {"process": process, "what": "progress", "why": "it does not answer its supervisor"}
    if float(progress.get("turned_seconds_ago", 0.0)) > STUCK_SECONDS:
        yield {"process": process, "what": "progress", "why": "its threads make no progress"}
    for one in progress.get("problems", ()):
        yield {"process": process, **one}


@contextmanager
def serving(host: str, port: int | None, state: Callable[[], dict[str, Any]]) -> Iterator[tuple[str, Path] | None]:
    """Serve metrics and health of the supervisor that ``state`` describes. Gives the URL and the metrics folder.

    Gives None without a port: then nothing is served or counted.

    Raises:
        ConfigurationError: it cannot listen there.
    """
    if port is None:
        yield None
        return
    # A late import: a supervisor that serves nothing does not need it.
    from jobs.observe.endpoint import Answer, Endpoint, as_json
    from jobs.observe.exposition import CountsFolder

    def probe(check: Callable[[dict[str, Any]], tuple[bool, dict[str, object]]]) -> Callable[[], Answer]:
        def answer() -> Answer:
            is_good, facts = check(state())
            return as_json(facts, is_good=is_good)

        return answer

    counts = CountsFolder()
    try:
        routes = {
            "/metrics": lambda: Answer(counts.page()),
            "/healthz": probe(liveness),
            "/readyz": probe(readiness),
        }
        endpoint = Endpoint(host, port, routes, meanwhile=counts.merge_dead_files)
        try:
            yield endpoint.url, counts.path
        finally:
            endpoint.close()
    finally:
        counts.close()
