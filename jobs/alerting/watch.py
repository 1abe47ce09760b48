"""Looks at the platform's problems, and enqueues what receivers are to be told about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from jobs.alerting.delivery import KIND, DeliverAlert
from jobs.alerting.grouping import TOPICS, MessageType, due, fingerprint_of, is_forgotten
from jobs.app import App
from jobs.enqueue.write_path import announce_runs, write_runs
from jobs.ledger.moment import ledger_moment
from jobs.ledger.operators import alert_routes
from jobs.ledger.operators.alert_routes import RouteRecord, StateRecord
from jobs.ledger.records import NewRun
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.insight.alerts import Alert, alerts
from jobs.upkeep.lead import Lead

ROLE = "alerts"
LOOK_SECONDS = 15.0
"""How often the leading process looks, while there are receivers. Source: decision; as Prometheus evaluates rules."""
IDLE_SECONDS = 60.0
"""How often a process asks whether there are receivers."""
MOST = 50
"""Most problems of one kind that are told. Source: decision."""
MAX_SUBJECT = 300
_SYSTEM = Operator("alerts", permissions=frozenset({Permission.RUNS_READ}))
"""May not read arguments: the text of an error may be personal, and messages leave the house."""


class AlertWatch:
    """Looks if this process leads. ``on_routes`` is called once there are receivers."""

    def __init__(self, app: App, *, on_routes: Callable[[], None] = lambda: None) -> None:
        self._app = app
        self._lead = Lead(app, ROLE)
        self._look_at = app.clock.monotonic()
        self._on_routes = on_routes

    def turn(self) -> None:
        """Look, if it is time.

        Raises:
            ServiceDown: the ledger does not answer.
        """
        now = self._app.clock.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + IDLE_SECONDS
        with self._app.database.read() as connection:
            if not alert_routes.has_routes(connection):
                return
        self._on_routes()
        self._look_at = now + LOOK_SECONDS
        if self._lead.is_due():
            self._lead.rest(LOOK_SECONDS)
            enqueue_messages(self._app)


def enqueue_messages(app: App) -> int:
    """Enqueue what is to be told now. Returns the number of messages. Two processes at once tell nothing twice."""
    # Not of messages that could not be delivered: each would cause the next.
    found = {fingerprint_of(one): one for one in alerts(app, _SYSTEM, most=MOST, without_kind=KIND)}
    with app.database.write() as connection:
        # Locked: whoever comes second sees what the first has sent.
        routes = alert_routes.list_routes(connection, lock=True)
        now = ledger_moment(connection)
        states = {(one.route, one.fingerprint): one for one in alert_routes.alert_states(connection)}
        told: list[tuple[RouteRecord, str, Alert | None, StateRecord | None, MessageType]] = []
        for route in routes:
            if route.disabled_at is not None:
                continue
            group = timedelta(seconds=route.group_seconds)
            wanted = {one: alert for one, alert in found.items() if _is_of(alert, route)}
            known = {name: state for (of, name), state in states.items() if of == route.name}
            for name in {**wanted, **known}:
                alert, state = wanted.get(name), known.get(name)
                what = due(alert, state, now=now, group=group)
                if what is not None:
                    told.append((route, name, alert, state, what))
            over = [
                name for name, state in known.items() if is_forgotten(wanted.get(name), state, now=now, group=group)
            ]
            if over:
                alert_routes.forget_states(connection, route.name, over)
        if not told:
            return 0
        live = alert_routes.undelivered(connection, [state.run_id for *_, state, _ in told if state is not None])
        runs: list[NewRun] = []
        written: list[StateRecord] = []
        for route, name, alert, state, what in told:
            new = _new_state(route, name, alert, state, what, now=now)
            before = [state.run_id] if state is not None and state.run_id in live else []
            job = DeliverAlert(route=route.name, message=_message(new, alert, what))
            more: dict[str, Any] = {"after": before, "on_parent_dead": "run"} if before else {}
            run = job.new_run(app, tags=[f"alert:{name}"], **more)
            runs.append(run)
            written.append(replace(new, run_id=run.id))
        write_runs(connection, runs)
        alert_routes.write_states(connection, written)
        app.database.send_notify(connection)
    announce_runs(app, runs)
    return len(runs)


def _is_of(alert: Alert, route: RouteRecord) -> bool:
    return any(alert.code in TOPICS[topic] for topic in route.topics if topic in TOPICS)


def _new_state(
    route: RouteRecord, name: str, alert: Alert | None, state: StateRecord | None, what: MessageType, *, now: Any
) -> StateRecord:
    if alert is None:
        assert state is not None
        return replace(state, is_firing=False, sent_at=now, sequence=state.sequence + 1)
    is_same = state is not None and state.is_firing
    return StateRecord(
        route=route.name,
        fingerprint=name,
        code=alert.code,
        subject=None if alert.subject is None else alert.subject[:MAX_SUBJECT],
        sentence=alert.sentence,
        is_firing=what == "firing",
        since=state.since if state is not None and is_same else now,
        sent_at=now,
        sequence=1 if state is None else state.sequence + 1,
        run_id=DeliverAlert.no_run,
    )


def _message(new: StateRecord, alert: Alert | None, what: MessageType) -> dict[str, Any]:
    return {
        "type": f"alert.{what}",
        "timestamp": new.sent_at.isoformat(),
        "data": {
            "fingerprint": new.fingerprint,
            "sequence": new.sequence,
            "code": new.code,
            "subject": new.subject,
            "sentence": new.sentence,
            "command": f"jobledger {alert.command}" if alert is not None else None,
            "is_bad": alert.is_bad if alert is not None else False,
            "since": new.since.isoformat(),
        },
    }
