"""Health: what a worker's endpoint answers, and what each process tells its supervisor of itself.

/healthz   the supervisor goes on; asks nobody, so that no outage elsewhere restarts a worker
/readyz    some process performs runs: it makes progress, and its ledger and ready index answer
/metrics   the counts of all processes
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jobs.clock import Clock
from jobs.events import Events, ServiceFailed

STUCK_SECONDS = 60.0
"""A process whose threads have not turned for so long is stuck. Source: decision; above every time limit of ours."""
SILENT_SECONDS = 15.0
"""A supervisor's loop turns every 2 s; one silent for so long hangs. Source: the limit it sets its processes."""
RECENT_SECONDS = 10.0
"""How long a failure of the ready index is told of: nothing says when it is over."""


class Pulse:
    """Inside a worker process: what it makes of its services and threads, told with each pong."""

    def __init__(self, clock: Clock, events: Events) -> None:
        self._clock = clock
        self._failed: dict[str, tuple[float, str]] = {}
        self.turned_at = clock.monotonic()
        self.answered_at = 0.0
        events.subscribe(ServiceFailed, self._note)

    def turned(self) -> None:
        """The intake went round."""
        self.turned_at = self._clock.monotonic()

    def answered(self) -> None:
        """The ledger answered: with claims, or to a renewal."""
        self.answered_at = self._clock.monotonic()

    def report(self) -> dict[str, object]:
        """Plain data: ``problems`` in words, and how long ago the threads turned."""
        now = self._clock.monotonic()
        problems = []
        for service, (at, why) in list(self._failed.items()):
            is_over = self.answered_at > at if service == "ledger" else now - at > RECENT_SECONDS
            if not is_over:
                problems.append({"what": "database" if service == "ledger" else "index", "why": why})
        return {"problems": problems, "turned_seconds_ago": round(now - self.turned_at, 1)}

    def _note(self, batch: list[ServiceFailed]) -> None:
        for one in batch:
            self._failed[one.service] = (self._clock.monotonic(), one.error)


def liveness(state: dict[str, Any]) -> tuple[bool, dict[str, object]]:
    """Whether the supervisor goes on, and what says so."""
    silent = float(state["looked_seconds_ago"])
    return silent < SILENT_SECONDS, {"alive": silent < SILENT_SECONDS, "looked_seconds_ago": round(silent, 1)}


def readiness(state: dict[str, Any]) -> tuple[bool, dict[str, object]]:
    """Whether some process performs runs, and what is wrong with the others."""
    problems: list[dict[str, object]] = []
    able = 0
    for member in state["members"]:
        if member["stage"] != "ready":
            continue
        found = list(_problems_of(member))
        problems += found
        able += not found
    if state["is_stopping"]:
        problems.append({"what": "worker", "why": "it is stopping"})
    if state["crash_looping"]:
        problems.append({"what": "processes", "why": f"{state['crash_looping']} die as soon as they start"})
    if not any(member["stage"] == "ready" for member in state["members"]):
        problems.append({"what": "processes", "why": "none is ready"})
    is_ready = able > 0 and not state["is_stopping"] and liveness(state)[0]
    facts = {"ready": is_ready, "processes": state["processes"], "performing": able, "problems": problems}
    return is_ready, facts


def _problems_of(member: dict[str, Any]) -> Iterator[dict[str, object]]:
    process, told = member["name"], member["progress"]
    if (member["heard_seconds_ago"] or 0.0) > SILENT_SECONDS:
        yield {"process": process, "what": "progress", "why": "it does not answer its supervisor"}
    if float(told.get("turned_seconds_ago", 0.0)) > STUCK_SECONDS:
        yield {"process": process, "what": "progress", "why": "its threads do not turn"}
    for one in told.get("problems", ()):
        yield {"process": process, **one}


@contextmanager
def serving(host: str, port: int | None, state: Callable[[], dict[str, Any]]) -> Iterator[tuple[str, Path] | None]:
    """Serve metrics and health of the supervisor whose ``state`` this gives; its URL and the folder of counts.

    None without a port: nothing is served, and nothing counted.

    Raises:
        ConfigurationError: it cannot listen there.
    """
    if port is None:
        yield None
        return
    # Late: a supervisor that serves nothing need not carry it.
    from jobs.observe.endpoint import Answer, Endpoint, as_json
    from jobs.observe.exposition import CountsFolder

    def probe(judge: Callable[[dict[str, Any]], tuple[bool, dict[str, object]]]) -> Callable[[], Answer]:
        def answer() -> Answer:
            is_good, facts = judge(state())
            return as_json(facts, is_good=is_good)

        return answer

    counts = CountsFolder()
    try:
        routes = {
            "/metrics": lambda: Answer(counts.page()),
            "/healthz": probe(liveness),
            "/readyz": probe(readiness),
        }
        endpoint = Endpoint(host, port, routes, meanwhile=counts.fold)
        try:
            yield endpoint.url, counts.path
        finally:
            endpoint.close()
    finally:
        counts.close()
