"""Explain: why a run is not running, or why it ended, in one sentence with its evidence."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from jobs.app import App
from jobs.database.sql import Executor
from jobs.formats.duration import format_duration
from jobs.ledger import workers
from jobs.ledger.moment import ledger_moment
from jobs.ledger.operators import audit_queries, queues
from jobs.ledger.operators.versions import key_holders
from jobs.ledger.queries import find
from jobs.ledger.queries.ahead import runs_before
from jobs.ledger.run_records import AttemptRecord, RunRecord
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.runs.explain_hold import explain_hold
from jobs.operations.runs.inspect import is_on_hold, shown
from jobs.states import Cause, Outcome, RunState

Evidence = list[tuple[str, object]]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The reason, in one sentence; ``code`` is stable; ``evidence`` is facts from the ledger."""

    run: RunRecord
    code: str
    sentence: str
    evidence: Evidence


def explain(app: App, operator: Operator, text: str) -> Explanation:
    """Why the run that ``text`` identifies is in its state.

    Raises:
        NotFound: it identifies none.
        Ambiguous: it identifies several.
    """
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        return _explained(connection, shown(find.find_named(connection, text), operator))


def explain_run(app: App, operator: Operator, run: RunRecord) -> Explanation:
    """The same for a run as ``detail`` returned it."""
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        return _explained(connection, run)


def _explained(session: Executor, run: RunRecord) -> Explanation:
    now = ledger_moment(session)
    code, sentence, evidence = _explain(session, run, now)
    named = {name for name, _ in evidence}
    evidence += [(name, value) for name, value in _losses(run) if name not in named]
    if run.deleted_at is not None:
        evidence.append(("purged", run.deleted_at))
    return Explanation(run, code, sentence, evidence)


def _explain(session: Executor, run: RunRecord, now: datetime) -> tuple[str, str, Evidence]:
    if run.state is RunState.QUEUED:
        return _queued(session, run, now)
    if run.state is RunState.RUNNING:
        return _running(run, now)
    if run.state is RunState.DEAD:
        return _dead(session, run, now)
    if run.state is RunState.CANCELLED:
        return _cancelled(session, run, now)
    took = run.finished_at - run.started_at if run.finished_at and run.started_at else None
    return "succeeded", f"It succeeded at attempt {run.attempt}.", [("finished", run.finished_at), ("took", took)]


def _queued(session: Executor, run: RunRecord, now: datetime) -> tuple[str, str, Evidence]:
    for what, name in (("queue", run.queue), ("kind", run.kind)):
        pause = queues.pauses(session, what, now=now).get(name)
        if pause is not None:
            until = f" until {_clock(pause.paused_until)}" if pause.paused_until else ""
            why = f": {pause.pause_reason}" if pause.pause_reason else ""
            sentence = f"Its {what} {name} is paused by {pause.paused_by or 'somebody'}{until}{why}."
            return f"{what}_paused", sentence, [("paused since", pause.paused_at), ("paused until", pause.paused_until)]
    if is_on_hold(run, now=now):
        return explain_hold(session, run, now)
    if run.run_at > now:
        return _not_due(session, run, now)
    if run.expires_at is not None and run.expires_at <= now and not run.attempt:
        return "expired", "It expired before it was started, and will be dead soon.", [
            ("expired", run.expires_at)
        ]  # fmt: skip
    live = workers.live(session, now=now)
    nobody = _nobody(run, live)
    if nobody is not None:
        return nobody
    able = [one for one in live if run.queue in one.queues and run.kind in one.kinds]
    before = runs_before(session, run, now=now)
    busy, threads = sum(one.busy for one in able), sum(one.threads for one in able)
    evidence: Evidence = [
        ("due since", run.run_at),
        ("before it", before),
        ("threads", f"{busy} of {threads} busy, in {len(able)} {_plural(len(able), 'process', 'processes')}"),
        *_losses(run),
    ]
    if before:
        return "behind", f"It waits behind {before:,} {_plural(before, 'run', 'runs')} of queue {run.queue}.", evidence
    return "next", f"It is the next of queue {run.queue}, and waits for a free thread.", evidence


def _not_due(session: Executor, run: RunRecord, now: datetime) -> tuple[str, str, Evidence]:
    wait = format_duration(run.run_at - now)
    if not run.attempt:
        return "not_due", f"It is not due yet: in {wait}.", [("due", run.run_at)]
    last = _last(session, run)
    how = f"attempt {last.attempt} {_words(last.outcome)}" if last else f"attempt {run.attempt}"
    error = _error(run)
    return "retrying", f"It tries again in {wait}, after {how}{f': {error}' if error else ''}.", [
        ("due", run.run_at),
        ("charged", f"{run.charged} of {run.max_attempts}"),
        *_losses(run),
    ]  # fmt: skip


def _nobody(run: RunRecord, live: list[workers.WorkerRecord]) -> tuple[str, str, Evidence] | None:
    if not live:
        return "no_worker", "No worker is live.", [("due since", run.run_at)]
    serving = [one for one in live if run.queue in one.queues]
    knowing = [one for one in live if run.kind in one.kinds]
    if not knowing:
        return "unknown_kind", f"No live worker knows the kind {run.kind}.", [
            ("live workers", len(live)),
            ("they know", ", ".join(sorted({kind for one in live for kind in one.kinds})[:10]) or "nothing"),
        ]  # fmt: skip
    if not serving:
        return "queue_not_served", f"No live worker serves the queue {run.queue}.", [
            ("live workers", len(live)),
            ("they serve", ", ".join(sorted({queue for one in live for queue in one.queues})) or "nothing"),
        ]  # fmt: skip
    if not any(one in serving for one in knowing):
        sentence = f"The workers that serve the queue {run.queue} do not know the kind {run.kind}."
        return "unknown_kind", sentence, [("serve it", len(serving)), ("know it", len(knowing))]
    return None


def _running(run: RunRecord, now: datetime) -> tuple[str, str, Evidence]:
    assert run.lease_until is not None
    evidence: Evidence = [
        ("worker", run.worker),
        ("started", run.started_at),
        ("lease until", run.lease_until),
        *_losses(run),
    ]
    if run.lease_until < now:
        gone = format_duration(now - run.lease_until)
        return "lost", f"Its worker {run.worker} has not renewed the lease for {gone}: it will be rescued.", evidence
    since = format_duration(now - run.started_at) if run.started_at else "just now"
    if run.cancel_requested_at is not None:
        evidence.append(("cancel asked", run.cancel_requested_at))
        return "cancelling", f"It is being cancelled; {run.worker} is still performing attempt {run.attempt}.", evidence
    return "leased", f"{run.worker} has performed attempt {run.attempt} for {since}.", evidence


_DEAD = {
    Cause.EXHAUSTED: "its budget of {max} attempts is spent",
    Cause.GAVE_UP: "its job, or its retry policy, gave up at attempt {attempt}",
    Cause.POISON: "it {took}",
    Cause.UNKNOWN_KIND: "no worker knew the kind {kind} for too long",
    Cause.BAD_ARGUMENTS: "its arguments do not fit its job",
    Cause.EXPIRED: "it expired before it was started",
    Cause.UNKNOWN_EFFECT: "it is unknown whether one of its steps took effect",
    Cause.UNREADABLE: "its row in the ledger cannot be read",
}


def _dead(session: Executor, run: RunRecord, now: datetime) -> tuple[str, str, Evidence]:
    assert run.cause is not None
    why = _DEAD[run.cause].format(
        max=run.max_attempts,
        attempt=run.attempt,
        took=_took(run),
        kind=run.kind,
    )
    error = _error(run)
    evidence: Evidence = [("died", run.finished_at), ("attempts", run.attempt), *_losses(run)]
    if run.expires_at is not None and run.cause is Cause.EXPIRED:
        evidence.append(("expired", run.expires_at))
    if run.fingerprint:
        evidence.append(("group", run.fingerprint))
    evidence += _key(session, run)
    return f"dead_{run.cause}", f"It is dead because {why}{f': {error}' if error else ''}.", evidence


def _took(run: RunRecord) -> str:
    parts = []
    if run.crashes:
        parts.append(f"took its worker process with it {run.crashes} {_plural(run.crashes, 'time', 'times')}")
    if run.abandonments:
        parts.append(f"was lost with its worker {run.abandonments} {_plural(run.abandonments, 'time', 'times')}")
    return ", and ".join(parts) or "endangers its worker process"


def _cancelled(session: Executor, run: RunRecord, now: datetime) -> tuple[str, str, Evidence]:
    evidence: Evidence = [("cancelled", run.finished_at), *_key(session, run)]
    action = next((one for one in audit_queries.list_actions(session, run_id=run.id) if one["verb"] == "cancel"), None)
    why = f": {run.cancel_reason}" if run.cancel_reason else ""
    if action is not None:
        evidence.append(("action", str(action["id"])[-8:]))
        return "cancelled", f"It was cancelled by {action['actor']}{why}.", evidence
    last = _last(session, run)
    if run.cancel_requested_at is None and last is not None and last.outcome is Outcome.CANCELLED:
        return (
            "cancelled_by_job",
            f"Its job cancelled it at attempt {last.attempt}{why or _reason_given(run)}.",
            evidence,
        )
    return "cancelled", f"It was cancelled by the application{why}.", evidence


def _reason_given(run: RunRecord) -> str:
    return f": {run.error_message}" if run.error_message else ""


def _key(session: Executor, run: RunRecord) -> Evidence:
    holder = None if run.key is None else key_holders(session, [run.id]).get(run.id)
    return [("key held by", f"{str(holder)[-8:]}, which is live: this one cannot be replayed")] if holder else []


def _losses(run: RunRecord) -> Evidence:
    found: Evidence = []
    if run.crashes:
        found.append(("crashes", run.crashes))
    if run.abandonments:
        found.append(("losses", f"{run.abandonments}: its worker was gone"))
    return found


def _last(session: Executor, run: RunRecord) -> AttemptRecord | None:
    tries = find.list_attempts(session, run.id, limit=1)
    return tries[-1] if tries else None


def _error(run: RunRecord) -> str | None:
    if not run.error_type:
        return None
    first = (run.error_message or "").strip().partition("\n")[0].rstrip(".")
    name = run.error_type.rpartition(".")[2]
    return f"{name}: {first}" if first else name


_OUTCOMES = {Outcome.TIMED_OUT: "ran out of time", Outcome.OUT_OF_MEMORY: "ran out of memory"}


def _words(outcome: Outcome) -> str:
    return _OUTCOMES.get(outcome, "was " + outcome.value if outcome.value.endswith("ed") and outcome in
                         (Outcome.SNOOZED, Outcome.RELEASED, Outcome.ABANDONED, Outcome.CANCELLED)
                         else outcome.value.replace("_", " "))  # fmt: skip


def _clock(moment: datetime) -> str:
    try:
        local = moment.astimezone()
    except OverflowError:
        # The last hours of the calendar are beyond it in the zones east of UTC.
        local = moment
    return local.strftime("%Y-%m-%d %H:%M")


def _plural(count: int, one: str, many: str) -> str:
    return one if count == 1 else many
