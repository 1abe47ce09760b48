"""Log keeper: writes the logs of attempts, those that perform every few seconds, and gives the settler the others."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from jobs.app import App
from jobs.definition import registry
from jobs.definition.redaction import Redaction
from jobs.definition.secret import WRITE_ONLY, mark_redacted
from jobs.errors import JobsError
from jobs.ledger.effects.attempt_logs import write_live_logs
from jobs.ledger.records import Claim, KeptLog
from jobs.runtime.attempt_log import AttemptLog, Line
from jobs.runtime.failure import storable
from jobs.storage.packing import unpack_arguments

log = logging.getLogger("jobs.worker")

WRITE_SECONDS = 2.0
"""How often the logs of attempts that perform are written. Source: decision; a reader sees a line soon."""
SHORT_LINES = 20
"""Lines kept of an attempt while its process writes more than it may. Source: decision."""
BURST_SECONDS = 10.0
"""A process may write the bytes of this many seconds at once."""


class LogKeeper:
    """The open logs of a process."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._open: dict[int, tuple[Claim, AttemptLog]] = {}  # By the token's number.
        self._written: dict[int, int] = {}
        self._secrets: dict[str, dict[str, Any] | None] = {}
        self._thread: threading.Thread | None = None
        self._has_open = threading.Event()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._rate = float(app.settings.max_log_rate)
        self._budget = self._rate * BURST_SECONDS
        self._budget_at = app.clock.monotonic()

    def start(self) -> None:
        """Write the logs of long attempts too. The thread starts with the first line."""
        self._thread = threading.Thread(target=self._run, name="jobs-logs", daemon=True)

    def open(self, claim: Claim, attempt_log: AttemptLog) -> None:
        """An attempt has logged its first line."""
        self._open[claim.token.int] = claim, attempt_log
        thread = self._thread
        if thread is None:
            return
        if thread.ident is None:
            with self._lock:
                if thread.ident is None:
                    thread.start()
        if not self._has_open.is_set():
            self._has_open.set()

    def close(self, token: UUID) -> KeptLog | None:
        """The log of an attempt that ends; None if it has none. Later lines are ignored. Never raises."""
        found = self._open.pop(token.int, None)
        if found is None:
            return None
        claim, attempt_log = found
        self._written.pop(token.int, None)
        try:
            attempt_log.close()
            return self._kept(claim, attempt_log) if attempt_log.count else None
        except Exception:  # The attempt must end, with its log or without.
            log.exception("Log of an attempt not kept")
            return None

    def stop(self) -> None:
        """Write what the attempts that still perform have logged, for the last time."""
        self._stopping.set()
        self._has_open.set()
        if self._thread is not None and self._thread.ident is not None:
            self._thread.join(WRITE_SECONDS)

    def write_open(self) -> None:
        """Write the logs that have changed since the last time."""
        changed = [
            (token, claim, attempt_log, attempt_log.count)
            for token, (claim, attempt_log) in list(self._open.items())
            if attempt_log.count != self._written.get(token, 0)
        ]
        if not changed:
            return
        logs = [(claim, self._kept(claim, attempt_log)) for _, claim, attempt_log, _ in changed]
        with self._app.database.write() as connection:
            write_live_logs(connection, logs)
        for token, _, _, count in changed:
            if token in self._open:
                self._written[token] = count

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._has_open.wait()
            self._stopping.wait(WRITE_SECONDS)
            try:
                self.write_open()
            except JobsError as error:
                log.warning("Logs of attempts not written", extra={"reason": str(error)})
            except Exception:
                log.exception("Logs of attempts not written")
            if not self._open and not self._stopping.is_set():
                self._has_open.clear()
                if self._open:
                    self._has_open.set()

    def _kept(self, claim: Claim, attempt_log: AttemptLog) -> KeptLog:
        lines = attempt_log.kept_lines()
        if self._is_over_rate():
            lines = [*lines[: SHORT_LINES // 2], *lines[max(SHORT_LINES // 2, len(lines) - SHORT_LINES // 2) :]]
        text = self._as_text(claim, lines)
        self._budget -= len(text)
        return KeptLog(text, attempt_log.count, attempt_log.count - len(lines))

    def _is_over_rate(self) -> bool:
        now = self._app.clock.monotonic()
        self._budget = min(self._rate * BURST_SECONDS, self._budget + (now - self._budget_at) * self._rate)
        self._budget_at = now
        return self._budget < 0

    def _as_text(self, claim: Claim, lines: Iterable[Line]) -> str:
        clock = self._app.clock
        epoch = clock.now().timestamp() - clock.monotonic()
        redaction = self._redaction(claim)
        return json.dumps(
            [
                [
                    one.number,
                    round((epoch + one.monotonic) * 1000),
                    one.level,
                    storable(one.source),
                    storable(one.text if redaction is None else redaction.text(one.text)),
                ]
                for one in lines
            ],
            ensure_ascii=False,
            separators=(",", ":"),
        )

    def _redaction(self, claim: Claim) -> Redaction | None:
        """Knows the values of the fields that the job declares as secret; None if it declares none."""
        if claim.kind not in self._secrets:
            self._secrets[claim.kind] = _secret_schema(claim.kind)
        schema = self._secrets[claim.kind]
        if schema is None:
            return None
        redaction = Redaction(only_declared=True)
        try:
            redaction.arguments(json.loads(unpack_arguments(self._app, claim.arguments)), schema)
        except (ValueError, RecursionError):
            return None
        except JobsError:
            # What is in a store cannot be read now, so its parts are not known. The job could not read it either.
            redaction.arguments(json.loads(claim.arguments), schema)
        return redaction


def _secret_schema(kind: str) -> dict[str, Any] | None:
    cls = registry.get(kind)
    try:
        schema = mark_redacted(cls.model_json_schema(by_alias=False), cls.options.redact)
    except Exception:  # A field's type has no JSON schema: its fields are known by their names alone.
        schema = {"properties": {name: {WRITE_ONLY: True} for name in cls.options.redact}}
    return schema if WRITE_ONLY in json.dumps(schema, default=str) else None
