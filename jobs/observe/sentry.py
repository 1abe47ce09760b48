"""Reports errors to Sentry, grouped as the ledger groups them. Off without a DSN.

It has a client of its own, which does not affect the application's use of Sentry and installs no hooks. A report has
kind, queue, run id, attempt, and the error's class, message and frames (without local variables, which hold arguments).
The message is the application's text. Arguments are sent only if the settings ask for it, and then scrubbed.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import sentry_sdk
from sentry_sdk.utils import event_from_exception

from jobs.app import App
from jobs.clock import new_token
from jobs.definition import registry
from jobs.definition.options import Options
from jobs.errors import JobsError
from jobs.events import AttemptEnded, RunDeadLettered, SlotFired
from jobs.ledger.queries.find import find_run
from jobs.ledger.run_records import RunRecord
from jobs.ledger.schedules.schedules import ScheduleRecord, find_schedule
from jobs.observe import check_ins
from jobs.observe.scrub import scrub
from jobs.sealing.values import masked
from jobs.states import FINAL, RunState

log = logging.getLogger("jobs.sentry")

MAX_WAITING = 1000
"""Reports that may wait to be sent; more are dropped and counted. Source: decision; about 0.3 s of work."""
CLOSE_SECONDS = 2.0


class Reporter(threading.Thread):
    """Builds and sends reports on a thread of its own, because one costs as much as several runs."""

    def __init__(self, app: App) -> None:
        super().__init__(name="jobs-sentry", daemon=True)
        self._app = app
        self._settings = app.settings
        self._waiting: queue.Queue[Callable[[], None] | None] = queue.Queue(MAX_WAITING)
        self._dropped = 0
        self._client = sentry_sdk.Client(
            dsn=self._settings.sentry_dsn,
            environment=self._settings.sentry_environment,
            default_integrations=False,
            auto_enabling_integrations=False,
            include_local_variables=False,
            max_request_body_size="never",
            auto_session_tracking=False,
            shutdown_timeout=CLOSE_SECONDS,
        )

    def on_attempts_ended(self, batch: list[AttemptEnded]) -> None:
        rate, rng = self._settings.sentry_traces, self._app.clock.rng
        for one in batch:
            level = self._level(one)
            if level is not None:
                self._put(partial(self._report, one, level))
            elif rate and rng.random() < rate:
                self._put(partial(self._client.capture_event, _transaction(one)))
            if self._settings.sentry_crons and _may_end_a_check_in(one):
                self._put(partial(self._end_check_in, one))

    def on_dead_lettered(self, batch: list[RunDeadLettered]) -> None:
        for one in batch:
            self._put(partial(self._report_dead_letter, one))
            if self._settings.sentry_crons:
                self._put(partial(self._end_check_in, one))

    def on_slots_fired(self, batch: list[SlotFired]) -> None:
        for one in batch:
            self._put(partial(self._begin_check_in, one))

    def run(self) -> None:
        while (send := self._waiting.get()) is not None:
            try:
                send()
            except Exception:
                log.exception("Report to Sentry failed")

    def close(self) -> None:
        """Send the waiting reports, for a limited time."""
        try:
            self._waiting.put(None, timeout=CLOSE_SECONDS)
            self.join(CLOSE_SECONDS)
        except queue.Full:
            pass
        self._client.close(timeout=CLOSE_SECONDS)

    def _put(self, send: Callable[[], Any]) -> None:
        try:
            self._waiting.put_nowait(send)
        except queue.Full:
            self._dropped += 1
            if self._dropped & (self._dropped - 1) == 0:  # At 1, 2, 4, 8, …: many errors must not cause many lines.
                log.warning("Errors dropped: Sentry too slow", extra={"dropped": self._dropped})

    def _level(self, one: AttemptEnded) -> str | None:
        """The level at which an attempt is reported; None: it is not."""
        if one.state is RunState.DEAD:
            return "error"
        level = self._settings.sentry_retry_level
        is_failure = one.state is RunState.QUEUED and (one.error is not None or one.error_type is not None)
        return level if is_failure and level != "off" else None

    def _report(self, one: AttemptEnded, level: str) -> None:
        self._send(one.run_id, one.kind, one.queue, self._error(one, level), tags=_tags(one))

    def _report_dead_letter(self, one: RunDeadLettered) -> None:
        event = {"message": f"Run is dead: {one.cause.value}", "fingerprint": [one.kind, one.cause.value]}
        self._send(one.run_id, one.kind, one.queue, {**event, "level": "error"}, tags={"cause": one.cause.value})

    def _begin_check_in(self, one: SlotFired) -> None:
        with self._app.database.read() as connection:
            record = find_schedule(connection, one.schedule)
        self._check_in(check_ins.begun(one.schedule, one.run_id, record.schedule, longest=_longest(record)))

    def _end_check_in(self, one: AttemptEnded | RunDeadLettered) -> None:
        name = one.schedule if isinstance(one, AttemptEnded) else None
        if name is None:
            run = self._find(one.run_id)
            name = run.schedule if run is not None else None
        if name is not None:
            state = one.state if isinstance(one, AttemptEnded) else RunState.DEAD
            self._check_in(check_ins.ended(name, one.run_id, state))

    def _check_in(self, told: dict[str, Any]) -> None:
        event: Any = {**told, "environment": self._settings.sentry_environment}
        self._client.capture_event(event)

    def _error(self, one: AttemptEnded, level: str) -> dict[str, Any]:
        event: dict[str, Any] = {}
        sealing = getattr(registry.find(one.kind), "_sealing", None)
        if sealing is not None and one.error_type is not None:
            # As the ledger has it: the exception itself, and its local variables, hold what is sealed.
            event["exception"] = {"values": [{"type": one.error_type, "value": one.error_message}]}
        elif one.error is not None:
            built, _ = event_from_exception(
                one.error, client_options=self._client.options, mechanism={"type": "jobledger", "handled": False}
            )
            event = dict(built)
        else:
            event["message"] = one.error_message or f"Run is {one.state.value}: {one.cause or one.outcome}"
        event["level"] = level
        event["fingerprint"] = [one.fingerprint or f"{one.kind}:{one.error_type or one.outcome.value}"]
        return event

    def _send(self, run_id: UUID, kind: str, queue_name: str, event: dict[str, Any], *, tags: dict[str, str]) -> None:
        facts: dict[str, Any] = {"run_id": str(run_id), "kind": kind, "queue": queue_name, **tags}
        contexts: dict[str, Any] = {"job": facts}
        if self._settings.sentry_arguments:
            contexts["arguments"] = self._arguments(run_id)
        report: Any = {
            **event,
            "transaction": kind,
            "tags": {"kind": kind, "queue": queue_name, "run_id": str(run_id), **tags},
            "contexts": contexts,
        }
        self._client.capture_event(report)

    def _arguments(self, run_id: UUID) -> dict[str, Any]:
        """The run's arguments, scrubbed; events carry none, so this reads the ledger."""
        run = self._find(run_id)
        found = scrub(masked(run.arguments)) if run is not None else {}
        return found if isinstance(found, dict) else {}

    def _find(self, run_id: UUID) -> RunRecord | None:
        try:
            with self._app.database.read() as connection:
                return find_run(connection, run_id)
        except JobsError:
            return None


def subscribe(app: App) -> Callable[[], None]:
    """Report failures to Sentry; returns what to call before the process ends."""
    reporter = Reporter(app)
    logging.getLogger("urllib3.connectionpool").addFilter(_is_not_sentrys)
    app.events.subscribe(AttemptEnded, reporter.on_attempts_ended)
    app.events.subscribe(RunDeadLettered, reporter.on_dead_lettered)
    if app.settings.sentry_crons:
        app.events.subscribe(SlotFired, reporter.on_slots_fired)
    reporter.start()
    return reporter.close


def _is_not_sentrys(record: logging.LogRecord) -> bool:
    """If Sentry is down, the retries of its client would fill the log."""
    return not (record.threadName or "").startswith("sentry-sdk")


def _longest(record: ScheduleRecord) -> timedelta | None:
    """How long a run of the schedule may take; with default options if this process does not know its kind."""
    job = registry.find(record.kind)
    options = job.options if job is not None else Options()
    wait = record.schedule.jitter or timedelta(0)
    return check_ins.longest_run(options.retry, timeout=options.timeout, max_attempts=record.max_attempts, wait=wait)


def _may_end_a_check_in(one: AttemptEnded) -> bool:
    """Whether its run has ended and a schedule made it, or may have made it.

    If another process than its worker reported the end, only the ledger knows.
    """
    return one.state in FINAL and (one.schedule is not None or one.waited_seconds is None)


def _tags(one: AttemptEnded) -> dict[str, str]:
    tags = {
        "attempt": str(one.attempt),
        "outcome": one.outcome.value,
        "state": one.state.value,
        "correlation_id": one.correlation_id or str(one.run_id),
    }
    return {**tags, "cause": one.cause.value} if one.cause else tags


def _transaction(one: AttemptEnded) -> Any:
    """An attempt as a performance sample, made afterwards: an attempt that is not sampled costs nothing."""
    status = "ok" if one.state is RunState.SUCCEEDED else "cancelled"
    ended_at = one.started_at + timedelta(seconds=one.elapsed_seconds)
    trace = {
        "trace_id": new_token().hex,
        "span_id": new_token().hex[:16],
        "op": "queue.process",
        "status": status,
        "origin": "auto.queue.jobledger",
    }
    return {
        "type": "transaction",
        "transaction": one.kind,
        "transaction_info": {"source": "task"},
        "start_timestamp": one.started_at,
        "timestamp": ended_at,
        "tags": {"kind": one.kind, "queue": one.queue, "run_id": str(one.run_id), **_tags(one)},
        "contexts": {"trace": trace},
        "spans": [],
    }
