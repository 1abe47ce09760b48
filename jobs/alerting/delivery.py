"""The job that delivers one message about a problem to one receiver.

The messages of one group (a receiver and a problem) are delivered one after another. A message that is tried again
keeps its id, the id of its run, so that a receiver can drop a repetition.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

from jobs.alerting.guard import AddressGuard
from jobs.client.job import Job
from jobs.definition import registry
from jobs.definition.retry import Retry
from jobs.errors import Cancel, GiveUp, RetryAfter
from jobs.ledger.operators import alert_routes

KIND, QUEUE = "jobs.alert", "jobs.alerts"
MAX_RETRY_AFTER = timedelta(hours=1)
"""The longest wait that a receiver may ask for. Source: decision."""


class DeliverAlert(
    Job,
    kind=KIND,
    queue=QUEUE,
    timeout=timedelta(seconds=30),
    retry=Retry(max_attempts=12, first=timedelta(seconds=5), cap=timedelta(hours=1)),
):
    """Tells one receiver one thing."""

    no_run: ClassVar[UUID] = UUID(int=0)

    route: str
    message: dict[str, Any]

    def perform(self) -> str:
        from jobs.alerting.mail import send_mail
        from jobs.alerting.post import post
        from jobs.alerting.shapes import as_slack, as_text
        from jobs.alerting.signature import signed_headers
        from jobs.settings import read_alert_variable

        app = self.run.app
        with app.database.read() as connection:
            route = alert_routes.find_route(connection, self.route)
        if route is None or route.disabled_at is not None:
            raise Cancel(f"The receiver {self.route} is {'removed' if route is None else 'disabled'}.")
        target = route.target if route.target is not None else read_alert_variable(str(route.target_env))
        message_id = f"msg_{self.run.id}"
        if route.kind == "email":
            send_mail(app.settings, target, message_id, as_text(self.message))
            return "accepted by the mail server"
        guard = AddressGuard(app.settings.alert_networks)
        if route.kind == "slack":
            body, headers = json.dumps(as_slack(self.message)).encode(), {}
        else:
            body = json.dumps(self.message, separators=(",", ":")).encode()
            secret = read_alert_variable(str(route.secret_env))
            headers = signed_headers(message_id, round(app.clock.now().timestamp()), body, secret)
        answer = post(target, body, {"Content-Type": "application/json", **headers}, guard=guard)
        if answer.status == 410:
            with app.database.write() as connection:
                alert_routes.disable_route(connection, route.name, why="It answered 410: it wants no more.")
            raise GiveUp(f"The receiver {route.name} answered 410 and is disabled. Add it again to enable it.")
        if answer.retry_after is not None:
            raise RetryAfter(min(answer.retry_after, MAX_RETRY_AFTER))
        answer.check()
        return f"answered {answer.status}"


# Only a process that serves the queue of alerts knows the kind: others would claim its runs.
registry.forget(KIND)


def register() -> None:
    """Let this process perform deliveries."""
    if registry.find(KIND) is None:
        registry.register(DeliverAlert, kind=KIND)
