"""What it costs a job to have its log lines kept: ``python -m benchmarks.attempt_logs``.

A job logs 10,000 lines through ``logging``, and the worker's own handler writes them to a file as JSON, with and
without capture in turn. It prints the processor time of a line and the ratio; at most 1.1 is wanted. Lines of
``self.run.log`` are timed too.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from jobs.clock import SystemClock
from jobs.observe.log_format import direct_logging
from jobs.runtime.attempt_log import AttemptLog
from jobs.runtime.context import current_run
from worker.attempt import log_capture

LINES, TURNS, MAX_BYTES = 10_000, 15, 256 * 1024


def main() -> None:
    clock = SystemClock()

    def new_log() -> AttemptLog:
        return AttemptLog(clock.monotonic, max_bytes=MAX_BYTES, level=logging.INFO)

    run: Any = SimpleNamespace(
        lines=None, own_log=lambda level: run.lines, id=UUID(int=7), kind="Send", queue="mail", attempt=1
    )  # fmt: skip
    current_run.set(run)
    plain, captured, own = [], [], []
    with tempfile.TemporaryFile("w+") as file:
        direct_logging(log_level="info", log_format="json", stream=file)
        log = logging.getLogger("shop")
        logged = _timed(lambda number: log.info("order %s of %s", number, "a customer"))
        run.lines = new_log()
        log_capture.capture(run, logging.INFO)
        for _ in range(TURNS):
            run.lines = None
            plain.append(logged())
            lines = run.lines = new_log()
            captured.append(logged())
            assert lines.count == LINES
            own.append(_timed(partial(_add, new_log()))())
    print(f"logging, not captured    {min(plain):6.2f} µs a line")
    print(f"logging, captured        {min(captured):6.2f} µs a line, {min(captured) / min(plain):.3f} times")
    print(f"self.run.log             {min(own):6.2f} µs a line")


def _add(log: AttemptLog, number: int) -> None:
    log.add_formatted("INFO", "run", "order %s of %s", (number, "a customer"))


def _timed(line: Callable[[int], object]) -> Callable[[], float]:
    """Processor time of this thread for a line, in microseconds, over ``LINES`` of them."""

    def run() -> float:
        began = time.thread_time()
        for number in range(LINES):
            line(number)
        return (time.thread_time() - began) / LINES * 1e6

    return run


if __name__ == "__main__":
    main()
