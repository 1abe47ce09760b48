"""A real worker as a process, for tests that look at it from outside."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.fork_server import jobledger
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parent.parent

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@dataclass
class WorkerProcess:
    process: subprocess.Popen[bytes]
    log: Path

    def lines(self) -> list[dict[str, Any]]:
        """The log's whole lines; each must be JSON."""
        whole, _, _ = self.log.read_text().rpartition("\n")
        return [json.loads(line) for line in whole.split("\n") if line]

    @property
    def url(self) -> str:
        return next(str(line["url"]) for line in self.lines() if "url" in line)

    def get(self, path: str) -> tuple[int, str]:
        return get(self.url + path)

    def series(self) -> Series:
        return parse(self.get("/metrics")[1])

    def folder(self) -> str:
        """Where its processes count."""
        supervisor = _parent(_parent(self.ready_pids()[0]))
        for fd in Path(f"/proc/{supervisor}/fd").iterdir():
            target = os.readlink(fd)
            if "/jobs-metrics-" in target:
                return target
        raise LookupError("no folder of counts")

    def ready_pids(self) -> list[int]:
        """Worker processes that live, as far as the log says."""
        pids = [int(line["worker_pid"]) for line in self.lines() if line["event"] == "Process ready"]
        return [pid for pid in pids if _is_alive(pid)]


@contextmanager
def worker(
    tmp_path: Path,
    database_url: str,
    *,
    imports: str = "tests.seen_app",
    program: Sequence[str] | None = None,
    **environment: str,
) -> Iterator[WorkerProcess]:
    """A worker that serves, from when it is ready until the block ends; then it is told to stop.

    Args:
        program: what starts `jobledger`; None: a fork (tests/fork_server.py).
    """
    log = tmp_path / "worker.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*(program or jobledger()), "worker", "--import", imports, "--metrics-port", "0"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "JOBS_DATABASE_URL": database_url, **environment},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    it = WorkerProcess(process, log)
    try:
        wait_until(lambda: it.ready_pids() or process.poll() is not None, seconds=60)
        assert process.poll() is None, log.read_text()
        yield it
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def parse(page: str) -> Series:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def total(series: Series, name: str, **labels: str) -> float:
    return sum(value for (one, has), value in series.items() if one == name and set(labels.items()) <= set(has))


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return re.sub(r".*\) ", "", state, flags=re.S)[0] != "Z"
