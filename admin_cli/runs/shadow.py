"""`jobs shadow`: performs stored runs with the code at hand, and says what would be different."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.exits import CommandFailed, Exit
from admin_cli.program.options import IMPORT, REASON, Globals, pass_globals
from admin_cli.runs.selector_options import selector_of, selector_options
from admin_cli.terminal import streams
from admin_cli.terminal.columns import Column, paint_state
from admin_cli.terminal.output import Output, output_options
from jobs.formats.short_id import short_id

if TYPE_CHECKING:
    from jobs.app import App
    from jobs.ledger.queries.selectors import Selector
    from jobs.operations.runs.selector import SelectorInput
    from jobs.operations.shadow_runs.compare import ShadowReport

STYLES = {"same": "green", "other result": "yellow", "beyond memos": "cyan"}
COLUMNS = (
    Column("id", lambda report: report.run_id, is_id=True),
    Column("kind", gives=2, min_width=10),
    Column("was", lambda report: report.was.value, paint=paint_state),
    Column("finding", lambda report: report.finding.value, paint=lambda value: STYLES.get(str(value), "red")),
    Column("why", gives=1, min_width=16),
    Column("enqueues", lambda report: len(report.enqueued), gives=3),
    Column("fingerprint", is_wide=True),
)


class HostPort(click.ParamType[tuple[str, int]]):
    """``db.internal:5432``, ``[::1]:5432``."""

    name = "host:port"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        if isinstance(value, tuple):
            return value
        host, _, port = str(value).rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            self.fail(f"{value!r} is not HOST:PORT, such as 127.0.0.1:8080.", param, ctx)
        return host.strip("[]"), int(port)


ALLOW = click.option(
    "--allow", type=HostPort(), multiple=True, metavar="HOST:PORT", help="A host and port that jobs may connect to."
)


@click.command("shadow")
@selector_options
@IMPORT
@ALLOW
@click.option("--all", "is_all", is_flag=True, help="The latest runs, whatever they are.")
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="Most runs.")
@REASON
@output_options(COLUMNS)
@pass_globals
def shadow(
    options: Globals,
    out: Output,
    asked: SelectorInput,
    imports: tuple[str, ...],
    allow: tuple[tuple[str, int], ...],
    is_all: bool,
    limit: int,
    reason: str | None,
) -> None:
    """Perform stored runs with the code at hand, and compare.

    Each of the latest matching runs is performed in a process of its own, on a private copy of the ledger. Steps are
    answered from their memos, transactions are rolled back, runs that it enqueues are only listed, and connections are
    refused. The ledger gets one audit entry. Exit 6 if a run raises, is lost, or succeeded and now does something else.

    \b
    Examples:
      jobledger shadow c9165be1 --import shop.jobs
      jobledger shadow --where kind:ChargeCard -n 50 --import shop.jobs
    """
    app = open_app(options)
    selector = selector_of(app, replace(asked, is_all=is_all))
    reports = perform_shadow(options, app, ShadowOrder(selector, imports, allow, limit=limit, reason=reason))
    out.rows(reports, as_json=report_json, empty="no run was performed")
    if not all(report.is_guarded or report.outcome is None for report in reports) and not allow:
        streams.write_message("Only Python's own connections were refused: this system has no filter for the others.")
    worse = [report for report in reports if report.is_worse]
    if worse:
        first = worse[0]
        raise CommandFailed(
            f"{len(worse)} of {len(reports)} runs do worse or otherwise: "
            f"{first.kind} {short_id(first.run_id)}: {first.finding.value}: {first.why}",
            exit_code=Exit.UNHEALTHY,
            hint="-o json has each difference.",
        )


@dataclass(frozen=True, slots=True)
class ShadowOrder:
    """The latest matching runs, at most ``limit``, in a process that imports ``imports``.

    Without imports it imports the modules of the settings. Jobs may connect to the hosts and ports of ``allow`` only.
    """

    selector: Selector
    imports: tuple[str, ...]
    allow: tuple[tuple[str, int], ...]
    limit: int
    reason: str | None


def perform_shadow(options: Globals, app: App, order: ShadowOrder) -> list[ShadowReport]:
    """Perform the runs of the order, and compare.

    Raises:
        UsageError: neither the order nor the settings name code.
    """
    from jobs.operations.shadow_runs.service import shadow
    from worker.shadow.runner import ShadowRunner

    modules = order.imports or app.settings.imports
    if not modules:
        raise click.UsageError("No code is named: name the application's modules with --import, or JOBS_IMPORTS.")
    tables = None if options.bundle is not None else app.database.url.render_as_string(hide_password=False)
    with ShadowRunner(modules, app.settings, tables=tables, allow=order.allow) as runner:
        return shadow(app, this_operator(), order.selector, runner, limit=order.limit, reason=order.reason)


def check_in_shadow(options: Globals, app: App, order: ShadowOrder) -> None:
    """For a replay: perform the latest of its runs in the shadow first.

    Raises:
        CommandFailed: one of them would fail again.
    """
    reports = perform_shadow(options, app, order)
    failing = [report for report in reports if report.fails]
    if failing:
        first = failing[0]
        raise CommandFailed(
            f"{len(failing)} of {len(reports)} runs would fail again, so nothing was replayed: "
            f"{first.kind} {short_id(first.run_id)}: {first.why}",
            exit_code=Exit.UNHEALTHY,
            hint="jobledger shadow with the same options shows each.",
        )
    streams.write_message(f"{len(reports)} of the runs were performed in the shadow, and none failed.")


def report_json(report: ShadowReport) -> dict[str, Any]:
    return {
        "id": report.run_id,
        "kind": report.kind,
        "was": report.was.value,
        "finding": report.finding.value,
        "is_worse": report.is_worse,
        "outcome": report.outcome,
        "why": report.why,
        "fingerprint": report.fingerprint,
        "changes": [{"path": path, "old": old, "new": new} for path, old, new in report.changes],
        "enqueued": report.enqueued,
        "followups": report.followups,
    }
