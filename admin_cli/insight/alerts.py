"""`jobs alerts`: who is told of problems, by webhook, Slack or e-mail."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.names import command_line
from admin_cli.program.options import DURATION, REASON, Globals, pass_globals
from admin_cli.runs.run_columns import fields_of
from admin_cli.terminal import streams
from admin_cli.terminal.columns import Column
from admin_cli.terminal.output import Output, output_options
from jobs.formats.escaping import escape_controls
from jobs.formats.short_id import short_id

if TYPE_CHECKING:
    from jobs.ledger.operators.alert_routes import RouteRecord

ROUTE_COLUMNS = (
    Column("name", gives=1, min_width=8),
    Column("kind"),
    Column("target", lambda route: route.target or f"${route.target_env}", gives=3, min_width=12),
    Column("topics", lambda route: ", ".join(route.topics), gives=2),
    Column("group", lambda route: timedelta(seconds=route.group_seconds)),
    Column("disabled", lambda route: route.disabled_why, paint=lambda value: "red" if value else None, gives=4),
    Column("added_by", heading="BY", is_wide=True),
    Column("added_at", heading="ADDED", is_wide=True),
)


@click.group("alerts")
def alerts() -> None:
    """Alerts by webhook, Slack or e-mail: list, add and test.

    \b
    Example:
      jobledger alerts add webhook https://ops.example.com/in --on dead,stuck
    """


@alerts.command("list")
@output_options(ROUTE_COLUMNS)
@pass_globals
def list_alerts(options: Globals, out: Output) -> None:
    """List who is told of problems.

    \b
    Example:
      jobledger alerts list
    """
    from jobs.operations.control import alert_routes

    found = alert_routes.list_routes(open_app(options), this_operator())
    out.rows(found, as_json=fields_of, empty="nobody is told of problems")


@alerts.command("add")
@click.argument("kind", type=click.Choice(["webhook", "slack", "email"]))
@click.argument("target", metavar="[URL|ADDRESS]", required=False)
@click.option("--on", "topics", required=True, metavar="TOPICS", help="dead,target,breaker,stuck,scheduler; or all.")
@click.option("--group", type=DURATION, default="10m", metavar="DURATION", help="Between two messages on one problem.")
@click.option("--name", metavar="NAME", help="Default: the kind.")
@click.option("--url-env", metavar="VARIABLE", help="Variable of the workers that has the URL: JOBS_ALERT_URL_….")
@click.option("--secret-env", metavar="VARIABLE", help="Variable with the signing secret; default JOBS_ALERT_SECRET.")
@REASON
@pass_globals
def add_alert(
    options: Globals,
    kind: str,
    target: str | None,
    topics: str,
    group: timedelta,
    name: str | None,
    url_env: str | None,
    secret_env: str | None,
    reason: str | None,
) -> None:
    """Tell a receiver of problems from now on.

    Webhooks are signed by the secret in JOBS_ALERT_SECRET of the workers, or in the file that JOBS_ALERT_SECRET_FILE
    names there.

    \b
    Examples:
      jobledger alerts add webhook https://ops.example.com/in --on dead,stuck
      jobledger alerts add slack --url-env JOBS_ALERT_URL_SLACK --on all
      jobledger alerts add email ops@example.com --on target --group 1h
    """
    from jobs.alerting.grouping import TOPICS
    from jobs.operations.control import alert_routes

    words = [one.strip() for one in topics.split(",") if one.strip()]
    wanted = list(TOPICS) if words == ["all"] else words
    made = alert_routes.add_route(
        open_app(options), this_operator(), kind, topics=wanted, target=target, target_env=url_env,
        secret_env=secret_env, group=group, name=name, reason=reason,
    )  # fmt: skip
    streams.write_message(escape_controls(f"{made.name} is told of {', '.join(made.topics)}; {_needs(made)}"))
    streams.write_message(f"try it: {command_line(f'alerts test {made.name}')}")


@alerts.command("remove")
@click.argument("name", metavar="NAME")
@REASON
@pass_globals
def remove_alert(options: Globals, name: str, reason: str | None) -> None:
    """Tell a receiver nothing more.

    \b
    Example:
      jobledger alerts remove pager
    """
    from jobs.operations.control import alert_routes

    alert_routes.remove_route(open_app(options), this_operator(), name, reason=reason)
    streams.write_message(escape_controls(f"{name} is told nothing more."))


@alerts.command("test")
@click.argument("name", metavar="NAME")
@REASON
@pass_globals
def test_alert(options: Globals, name: str, reason: str | None) -> None:
    """Send a receiver a test message; print its run.

    \b
    Example:
      jobledger alerts test pager
    """
    from jobs.operations.control import alert_routes

    run_id = alert_routes.send_test(open_app(options), this_operator(), name, reason=reason)
    streams.write(f"{run_id}\n")
    streams.write_message(f"a worker delivers it: {command_line(f'wait {short_id(run_id)}')}")


def _needs(made: RouteRecord) -> str:
    needs = [one for one in (made.target_env, made.secret_env) if one is not None]
    if made.kind == "email":
        needs.append("JOBS_ALERT_SMTP_URL")
    return f"workers need {' and '.join(needs)}." if needs else "workers deliver it."
