"""The harness of the fault suite: real processes on real servers, their load, and the checks afterwards."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, create_engine, text

from jobs import boot
from jobs.app import App
from jobs.database.engine import Database
from jobs.errors import JobsError
from jobs.migration import schema
from jobs.settings import Settings
from tests.faults.load import Load
from tests.faults.processes import Node, descendants, send, until, workers_of
from tests.faults.work import CREATE_EFFECTS, Effect
from tests.fork_server import forked

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "artifacts" / "faults.jsonl"
DRAINED_WITHIN = 15.0
SUPERVISE = "tests.faults.supervise"


class Fleet:
    """Worker processes under their supervisors, and their ledger."""

    def __init__(
        self,
        url: str,
        load: Load,
        *,
        redis_url: str | None = None,
        direct_url: str | None = None,
        answer_limit_seconds: float | None = 15.0,
        job: type[Effect] = Effect,
        **settings: Any,
    ) -> None:
        self.load = load
        self.job = job
        self.answer_limit_seconds = answer_limit_seconds and load.within(answer_limit_seconds)
        self.settings = Settings(
            database_url=url, redis_url=redis_url, threads=load.threads, log_level="warning", log_format="json",
            **settings,
        )  # fmt: skip
        schema.upgrade(Database(url, self.settings))
        self.app: App = boot.configure(boot.build(self.settings))
        # Its own engine, so that the checks do not use the connections under test.
        direct = Database(direct_url or url, self.settings).url
        self.engine = create_engine(direct, pool_pre_ping=True, connect_args=_named(direct))
        with self.engine.begin() as connection:
            connection.execute(text(CREATE_EFFECTS))
        self._given_up = threading.Event()
        self.reads_history = False
        """Whether the checks count runs wherever they are."""
        self.kills = 0
        self.zombies = 0
        self.last_fault_at = self.loaded_at = time.monotonic()
        self.log = self.folder() / f"fleet-{os.getpid()}-{load.seed}.log"
        self.supervisors: list[Node] = []

    @staticmethod
    def folder() -> Path:
        RESULTS.parent.mkdir(exist_ok=True)
        return RESULTS.parent

    def start(self, *, processes: int | None = None, env: dict[str, str] | None = None) -> None:
        """Start a supervisor and wait until each of its processes performs. Call it again for another node."""
        count = self.load.processes if processes is None else processes
        environment = {name: value for name, value in os.environ.items() if not name.startswith("JOBS_")}
        with self.log.open("ab") as out:
            # A fork has no environment of its own before it begins.
            begin = forked(SUPERVISE) if env is None and not self.load.is_timed else [sys.executable, "-m", SUPERVISE]
            pid_file = self.log.with_suffix(f".{len(self.supervisors)}.pid")
            process = subprocess.Popen(
                [*begin, self.settings.model_dump_json(), str(count), str(self.answer_limit_seconds or 0), pid_file],
                cwd=ROOT, env={**environment, "PYTHONPATH": str(ROOT), **(env or {})}, stdout=out, stderr=out,
            )  # fmt: skip
        node = Node(process, pid_file)
        self.supervisors.append(node)
        assert until(lambda: len(workers_of(node)) >= count, seconds=self.load.within(30)), self.said()

    def stop(self, *, seconds: float = 40.0) -> int:
        """Ask the supervisors to stop. Returns the highest of their exit codes."""
        for node in self.supervisors:
            node.process.send_signal(signal.SIGTERM)
        return max(node.process.wait(self.load.within(seconds)) for node in self.supervisors)

    def close(self) -> None:
        """End the fleet at once. A second call does nothing."""
        for node in self.supervisors:
            if node.process.poll() is None:
                for pid in workers_of(node):
                    send(pid, signal.SIGCONT)
                send(node.pid or node.process.pid, signal.SIGKILL)
                node.process.wait(10)
            node.pid_file.unlink(missing_ok=True)
        self.engine.dispose()
        self.app.close()
        boot._app = None

    def workers(self) -> list[int]:
        """The pids of worker processes."""
        return [pid for node in self.supervisors for pid in workers_of(node)]

    def said(self) -> str:
        """The end of the nodes' log."""
        return self.log.read_text(errors="replace")[-3000:]

    # Faults. Each records its time, so that the drain is measured from the last one.

    def kill_one(self) -> None:
        """SIGKILL a random worker process."""
        pids = self.workers()
        if pids:
            send(self.load.rng.choice(pids), signal.SIGKILL)
            self.kills += 1
        self.fault()

    def freeze_one(self, seconds: float) -> None:
        """Freeze a random worker process for ``seconds``, then resume it; if that exceeds its lease, it is a zombie."""
        pids = self.workers()
        if not pids:
            return
        pid = self.load.rng.choice(pids)
        send(pid, signal.SIGSTOP)
        self.zombies += 1
        self.fault()
        time.sleep(seconds)
        send(pid, signal.SIGCONT)
        self.fault()

    def freeze_nodes(self, seconds: float) -> None:
        """Freeze every process of every node for ``seconds``, like a moved virtual machine or a sleeping laptop."""
        pids = [pid for node in self.supervisors for pid in (node.pid, *descendants(node.pid))]
        for pid in pids:
            send(pid, signal.SIGSTOP)
        self.zombies += len(self.workers())
        self.fault()
        time.sleep(seconds)
        for pid in pids:
            send(pid, signal.SIGCONT)
        self.fault()

    def fault(self) -> None:
        self.last_fault_at = time.monotonic()

    # Load

    def enqueue_all(self, *, batch: int = 1, part: int = 0, parts: int = 1) -> None:
        """Enqueue the load at its rate, whatever the servers do: each number once, tried until it is committed.

        If ``parts`` threads do so at once, each takes its own share.
        """
        started = time.monotonic()
        load = self.load
        for first in range(part * batch, load.runs, parts * batch):
            due = started + load.seconds * first / load.runs
            time.sleep(max(0.0, due - time.monotonic()))
            for n in range(first, min(first + batch, load.runs)):
                if self._given_up.is_set():
                    return
                self.enqueue_surely(n)

    def enqueue_surely(self, n: int) -> None:
        """Enqueue as an application must: with the same key until there is an answer, since a commit may have
        succeeded."""
        give_up_at = time.monotonic() + 120
        while True:
            try:
                self.job(n=n, seed=self.load.seed).enqueue(key=f"n{n}")
                return
            except JobsError:
                if time.monotonic() > give_up_at:
                    raise
                time.sleep(0.1)

    @contextmanager
    def under_load(self, *, senders: int = 1, **how: Any) -> Iterator[None]:
        """Enqueue the load from ``threads`` threads during the block; its end waits until everything is enqueued."""
        failed: list[BaseException] = []

        def send(part: int) -> None:
            try:
                self.enqueue_all(part=part, parts=senders, **how)
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=send, args=(part,), name="load") for part in range(senders)]
        for one in threads:
            one.start()
        try:
            yield
            for one in threads:
                one.join()
        except BaseException:
            # Otherwise it would add load to the next test.
            self._given_up.set()
            raise
        self.loaded_at = time.monotonic()
        assert not failed, failed

    # Checks

    def drained(self) -> float:
        """Wait until every run is final. Returns the seconds since the last fault or the end of the load."""
        since, start = time.monotonic(), max(self.last_fault_at, self.loaded_at)
        until(lambda: self.left() == 0, seconds=self.load.within(60), every=0.1)
        assert self.left() == 0, (
            f"{self.left()} runs are not final {time.monotonic() - since:.0f} s later: {self.open()}"
        )
        return time.monotonic() - start

    def left(self) -> int:
        query = "select count(*) from job_runs where state in ('queued', 'running')"
        try:
            return int(self.value(query))
        except Exception:
            return -1

    def open(self) -> list[Any]:
        columns = "id, kind, state, attempt, run_at, lease_until, worker"
        return self.rows(f"select {columns} from job_runs where state in ('queued', 'running') limit 5")

    def value(self, query: str) -> Any:
        return self.rows(query)[0][0]

    def rows(self, query: str) -> list[Any]:
        if self.reads_history:
            query = re.sub(r"\bjob_(runs|attempts)\b", r"job_\1_all", query)
        with self.engine.connect() as connection:
            return list(connection.execute(text(query)).all())

    def check(self, name: str, *, drained: float, extra_allowed: int | None = None, **facts: Any) -> dict[str, Any]:
        """Check all that must hold after a load. Returns what was found, and keeps it for the table."""
        load, kind = self.load, self.job.options.kind
        found: dict[str, Any] = {
            "test": name,
            "seed": load.seed,
            "runs": self.value(f"select count(*) from job_runs where kind = '{kind}'"),
            "effects": self.value("select count(*) from effects"),
            "distinct": self.value("select count(distinct n) from effects"),
            "succeeded": self.value(f"select count(*) from job_runs where kind = '{kind}' and state = 'succeeded'"),
            "failures": self.value("select count(*) from job_attempts where outcome in ('failed', 'timed_out')"),
            "attempts": self.value("select count(*) from job_attempts"),
            "numbered": self.value("select coalesce(sum(attempt), 0) from job_runs"),
            "refused": self.value("select count(*) from job_attempts where refused_at is not null"),
            "kills": self.kills,
            "zombies": self.zombies,
            "drained_seconds": round(drained, 1),
            **facts,
        }
        all_runs = self.value("select count(*) from job_runs")
        found["extra"] = found["attempts"] - all_runs
        allowed = found["failures"] + (self.kills + self.zombies) * load.threads
        allowed += extra_allowed or 0
        found["extra_allowed"] = allowed
        print(json.dumps(found))
        assert found["runs"] == load.runs
        assert found["effects"] == found["distinct"] == load.runs, "an effect is missing or double"
        assert found["succeeded"] == load.runs
        assert found["attempts"] == found["numbered"], "an attempt is not on record"
        if load.is_timed:
            assert found["extra"] <= allowed, "more attempts were started than faults explain"
            assert drained <= DRAINED_WITHIN, f"drained only {drained:.1f} s after the last fault"
            record(found)
        return found


def _named(url: URL) -> dict[str, Any]:
    return {"application_name": "faults"} if url.get_backend_name() == "postgresql" else {}


def record(found: dict[str, Any]) -> None:
    """Keep the findings of a full test for the table."""
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("a") as file:
        file.write(json.dumps(found) + "\n")
