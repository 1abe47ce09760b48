"""Starts the process that performs shadow runs, and sends it one run after another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from jobs.errors import ConfigurationError
from jobs.ledger.run_records import RunRecord
from jobs.settings import Settings

_MAIN = "import sys; from worker.shadow.server import main; main(int(sys.argv[1]), int(sys.argv[2]))"
_PASSED_ON = ("database_schema", "max_argument_bytes", "max_result_bytes", "store_above", "max_stored_bytes",
              "hard_after", "statement_timeout", "lock_timeout", "connect_timeout", "pgbouncer")  # fmt: skip
"""Settings that are in force in a shadow run as in a worker."""


class ShadowRunner:
    """A context manager; call it with a run and the file of its private ledger.

    Args:
        tables: the URL of the application's own tables, for transactions that are rolled back; None: not at hand.
        allow: pairs of host and port to which jobs may connect.

    Raises:
        ConfigurationError: the application cannot be imported.
    """

    def __init__(
        self, imports: Sequence[str], settings: Settings, *, tables: str | None, allow: Collection[tuple[str, int]] = ()
    ) -> None:
        self._imports = list(imports)
        self._tables = tables
        self._allow = [list(pair) for pair in allow]
        self._settings = settings.model_dump(mode="json", include=set(_PASSED_ON), exclude_none=True)

    def __enter__(self) -> Self:
        read, write = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _MAIN, str(write), str(os.getpid())],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, pass_fds=[write], text=True,
        )  # fmt: skip
        os.close(write)
        self._answers = os.fdopen(read)
        first = self._ask({"imports": self._imports})
        if "failed" in first or "lost" in first:
            self.__exit__()
            raise ConfigurationError(str(first.get("failed") or "The application's import ended its process."))
        return self

    def __call__(self, run: RunRecord, ledger: Path) -> Mapping[str, Any]:
        return self._ask(
            {
                "run_id": str(run.id),
                "kind": run.kind,
                "ledger": str(ledger),
                "database_url": self._tables,
                "allow": self._allow,
                "settings": self._settings,
            }
        )

    def __exit__(self, *raised: object) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._answers.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ask(self, order: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return {"lost": "the process that performs shadow runs has died"}
        line = self._answers.readline()
        answer: dict[str, Any] = (
            json.loads(line) if line else {"lost": "the process that performs shadow runs has died"}
        )
        return answer
