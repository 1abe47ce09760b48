"""A worker process for the fairness test: performs until its input ends."""

from __future__ import annotations

import sys

import jobs
from jobs import boot
from jobs.settings import Settings
from worker.process.process import Process
from worker.protocol.running_table import RunningRows, RunningTable


class Tick(jobs.Job, kind="fair.Tick"):
    n: int = 0

    def perform(self) -> None: ...


def main(url: str, name: str) -> None:
    app = boot.configure(boot.build(Settings(database_url=url, threads=4, log_level="error")))
    process = Process(app, name, RunningRows(RunningTable(1).fd, 0), queues=["default"])
    process.start()
    print("ready", flush=True)
    sys.stdin.read()
    process.stop(5)


if __name__ == "__main__":
    main(*sys.argv[1:])
