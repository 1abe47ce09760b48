"""Receivers of alerts: list, add, remove and test them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from jobs.alerting.delivery import DeliverAlert
from jobs.alerting.grouping import TOPICS
from jobs.alerting.guard import AddressGuard, TargetRefused
from jobs.app import App
from jobs.database.sql import Executor
from jobs.definition.options import check_name
from jobs.definition.redaction import HIDDEN
from jobs.enqueue.write_path import announce_runs, write_runs
from jobs.errors import Conflict, DefinitionError, NotFound, SelectorRefused
from jobs.ledger.moment import ledger_moment
from jobs.ledger.operators import alert_routes
from jobs.ledger.operators.alert_routes import RouteRecord
from jobs.ledger.records import Freed
from jobs.operations.audit.entry import check_reason, record_finished
from jobs.operations.audit.operator import Operator, Permission
from jobs.settings import ALERT_VARIABLE

TARGET = "alert:"
"""The target of an action on a receiver: this and its name."""
KINDS = ("webhook", "slack", "email")
GROUP = timedelta(minutes=10)
MAX_GROUP = timedelta(days=7)
SECRET = "JOBS_ALERT_SECRET"  # noqa: S105
"""The variable that has the secret of a webhook's signatures, unless another is named."""
_ADDRESSES = re.compile(r"[^@\s,<>]+@[^@\s,<>]+(, ?[^@\s,<>]+@[^@\s,<>]+)*")


def list_routes(app: App, operator: Operator) -> list[RouteRecord]:
    """The receivers, by name."""
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        found = alert_routes.list_routes(connection)
    if operator.may(Permission.QUEUES_WRITE):
        return found
    # A URL may hold a token, and an address is personal.
    return [one if one.target is None else replace(one, target=HIDDEN) for one in found]


def add_route(
    app: App,
    operator: Operator,
    kind: str,
    *,
    topics: Sequence[str],
    target: str | None = None,
    target_env: str | None = None,
    secret_env: str | None = None,
    group: timedelta = GROUP,
    name: str | None = None,
    reason: str | None = None,
) -> RouteRecord:
    """Send alerts on these topics to a receiver from now on. Returns it.

    Args:
        kind: ``webhook``, ``slack`` or ``email``.
        target: a URL, or addresses of e-mail; or ``target_env``, a variable of the workers that has it.
        secret_env: the variable of the workers that has the secret of a webhook's signatures.
        group: the shortest time between two messages about one problem.
        name: default: the kind.

    Raises:
        SelectorRefused: a value is not possible.
        Conflict: there is a receiver of this name.
    """
    operator.need(Permission.QUEUES_WRITE)
    check_reason(app, reason)
    if kind not in KINDS:
        raise SelectorRefused(f"{kind!r} is no kind of receiver.", hint=f"Kinds are {', '.join(KINDS)}.")
    wanted = tuple(dict.fromkeys(topics))
    if unknown := [one for one in wanted if one not in TOPICS]:
        raise SelectorRefused(f"{unknown[0]!r} is no topic.", hint=f"Topics are {', '.join(TOPICS)}.")
    if not wanted:
        raise SelectorRefused("No topic is given.", hint=f"Topics are {', '.join(TOPICS)}.")
    if not timedelta(0) <= group <= MAX_GROUP or group.microseconds:
        raise SelectorRefused("A group is a whole number of seconds, up to 7 days.")
    _check_target(app, kind, target, target_env)
    if kind == "webhook":
        secret_env = _checked_variable(secret_env or SECRET)
    elif secret_env is not None:
        raise SelectorRefused(f"Messages by {kind} are not signed.", hint="Leave --secret-env out.")
    try:
        called = check_name(name or kind, what="receiver", longest=100)
    except DefinitionError as error:
        raise SelectorRefused(error.message, hint=error.hint) from None
    settled = {
        "kind": kind,
        "target": target,
        "target_env": target_env,
        "secret_env": secret_env,
        "topics": list(wanted),
        "group_seconds": round(group.total_seconds()),
    }
    with app.database.write(urgent=True) as connection:
        before = alert_routes.find_route(connection, called)
        if before is not None and before.disabled_at is None:
            raise Conflict(f"There is a receiver {called} already.", hint="Give another --name, or remove that one.")
        alert_routes.put_route(connection, called, settled, by=operator.name)
        record_finished(
            connection, "add_alert", operator, target=f"{TARGET}{called}", reason=reason,
            before=before.settled() if before is not None else None, after=settled,
        )  # fmt: skip
        made = alert_routes.find_route(connection, called)
    assert made is not None
    return made


def remove_route(app: App, operator: Operator, name: str, *, reason: str | None = None) -> None:
    """Send no more to a receiver. What is on its way is called off.

    Raises:
        NotFound: there is none of this name.
    """
    operator.need(Permission.QUEUES_WRITE)
    check_reason(app, reason)
    with app.database.write(urgent=True) as connection:
        before = _found(connection, name)
        alert_routes.remove_route(connection, name)
        record_finished(
            connection, "remove_alert", operator, target=f"{TARGET}{name}", reason=reason, before=before.settled()
        )


def send_test(app: App, operator: Operator, name: str, *, reason: str | None = None) -> UUID:
    """Enqueue a message that says that it is a test. Returns its run.

    Raises:
        NotFound: there is no receiver of this name.
        Conflict: it is disabled.
    """
    operator.need(Permission.QUEUES_WRITE)
    check_reason(app, reason)
    with app.database.write(urgent=True) as connection:
        route = _found(connection, name)
        if route.disabled_at is not None:
            raise Conflict(f"The receiver {name} is disabled: {route.disabled_why}", hint="Add it again.")
        now = ledger_moment(connection).isoformat()
        said = f"This is a test, sent by {operator.name}."
        data = {
            "fingerprint": "test", "sequence": 1, "code": "test", "subject": None, "sentence": said, "command": None,
            "is_bad": False, "since": now,
        }  # fmt: skip
        run = DeliverAlert(route=name, message={"type": "alert.test", "timestamp": now, "data": data}).new_run(app)
        write_runs(connection, [run])
        app.database.send_notify(connection)
        record_finished(connection, "test_alert", operator, target=f"{TARGET}{name}", reason=reason)
    announce_runs(app, [run])
    return run.id


def undo_route(session: Executor, action: dict[str, Any]) -> list[Freed]:
    """Put back what was before a receiver was added or removed. It makes no run ready.

    Raises:
        Conflict: it has been changed since.
    """
    name = action["target"].removeprefix(TARGET)
    found = alert_routes.find_route(session, name)
    if (None if found is None else found.settled()) != action["after"]:
        raise Conflict(f"The receiver {name} has been changed since.", hint="Nothing was changed.")
    if action["before"] is None:
        alert_routes.remove_route(session, name)
    else:
        alert_routes.put_route(session, name, action["before"], by=action["actor"])
    return []


def _found(connection: Executor, name: str) -> RouteRecord:
    found = alert_routes.find_route(connection, name)
    if found is None:
        raise NotFound(f"There is no receiver {name!r}.", hint="List them: jobledger alerts list.")
    return found


def _check_target(app: App, kind: str, target: str | None, target_env: str | None) -> None:
    if (target is None) == (target_env is None):
        raise SelectorRefused(
            f"Say where the {kind} is: {'its addresses' if kind == 'email' else 'its URL'}, or a variable that has it.",
            hint="jobledger alerts add slack --url-env JOBS_ALERT_URL_SLACK",
        )
    if target_env is not None:
        _checked_variable(target_env)
        return
    assert target is not None
    if len(target) > 2000:
        raise SelectorRefused("The target has more than 2,000 characters.")
    if kind == "slack":
        raise SelectorRefused(
            "The URL of a Slack webhook is a secret.", hint="Put it into a variable: --url-env JOBS_ALERT_URL_SLACK."
        )
    if kind == "email":
        if not _ADDRESSES.fullmatch(target) or not target.isprintable():
            raise SelectorRefused(f"{target!r} is no list of e-mail addresses.")
        return
    try:
        AddressGuard(app.settings.alert_networks).check_url(target)
    except TargetRefused as error:
        raise SelectorRefused(str(error)) from None


def _checked_variable(name: str) -> str:
    if not ALERT_VARIABLE.fullmatch(name):
        raise SelectorRefused(
            f"{name!r} is no variable for alerts.", hint="Its name begins with JOBS_ALERT_SECRET or JOBS_ALERT_URL."
        )
    return name
