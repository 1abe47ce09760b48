"""`jobs replay`, `cancel`, `purge` and `restore`: their shared options, confirmation and report."""

from __future__ import annotations

import functools
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import click

from admin_cli.program.actor import this_operator
from admin_cli.program.exits import CommandFailed, Exit
from admin_cli.program.names import command_line
from admin_cli.program.options import REASON
from admin_cli.program.prompt import confirm
from admin_cli.runs.run_columns import RUN_COLUMNS, run_json
from admin_cli.terminal import streams
from admin_cli.terminal.columns import Column
from admin_cli.terminal.output import Output
from admin_cli.terminal.record import Section
from jobs.formats.short_id import short_id

if TYPE_CHECKING:
    from jobs.app import App
    from jobs.operations.bulk.action import ActionPlan
    from jobs.operations.bulk.batches import Act, Report
    from jobs.operations.bulk.dry_run import DryRun
    from jobs.operations.runs.selector import SelectorInput

R = TypeVar("R")
GROUP_COLUMNS = (
    Column("kind", lambda row: row[0], gives=1),
    Column("state", lambda row: row[1]),
    Column("count", lambda row: row[2]),
)
SKIPPED_COLUMNS = (
    Column("id", lambda row: row[0], is_id=True),
    Column("why", lambda row: row[1], gives=1),
)
NEW_COLUMNS = (
    Column("id", lambda row: row[1], is_id=True),
    Column("replays", lambda row: row[0], is_id=True),
)
CHANGE_COLUMNS = (
    Column("what", lambda row: row[0]),
    Column("from", lambda row: row[1], gives=1, min_width=8),
    Column("to", lambda row: row[2], gives=2, min_width=8),
)
DONE = {
    "replay": "replayed",
    "cancel": "cancelled",
    "purge": "purged",
    "restore": "restored",
    "erase": "erased",
    "undo": "undone",
}

_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option("--all", "is_all", is_flag=True, help="Select every run; required if no other option selects."),
    click.option("-n", "--limit", type=click.IntRange(1), metavar="N", help="At most N runs, the oldest first."),
    click.option("--dry-run", is_flag=True, help="Count and show the runs, change nothing."),
    click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation."),
    click.option("--expect", type=click.IntRange(0), metavar="N", help="Fail unless exactly N runs match."),
    click.option("--rate", metavar="N/s", help="At most N runs a second: 50/s."),
    REASON,
    click.option("--resume", metavar="ACTION", help="Continue an action that was stopped (with the same options)."),
)
_FIELDS = ("is_all", "limit", "dry_run", "yes", "expect", "rate", "reason", "resume")


def bulk_options(command: Callable[..., R]) -> Callable[..., R]:
    """Adds the options of bulk actions to a command, as one mapping, ``how``."""

    @functools.wraps(command)
    def with_bulk(*args: Any, **kwargs: Any) -> R:
        kwargs["how"] = {name: kwargs.pop(name) for name in _FIELDS}
        return command(*args, **kwargs)

    decorated: Callable[..., R] = with_bulk
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


def act_on(
    app: App,
    out: Output,
    act: Act,
    asked: SelectorInput,
    how: dict[str, Any],
    *,
    check: Callable[[ActionPlan], None] = lambda plan: None,
    once_confirmed: Callable[[], object] = lambda: None,
) -> None:
    """Plan, confirm, run and report the action; exit 4 if runs were skipped.

    ``once_confirmed`` is called between the two, and not if nothing is to be changed.
    """
    from jobs.operations.audit.entry import check_reason
    from jobs.operations.bulk import action
    from jobs.operations.bulk.dry_run import dry_run_of
    from jobs.operations.runs.selector import make_selector

    operator = this_operator()
    rate = read_rate(how["rate"])
    asked = replace(asked, is_all=how["is_all"], limit=how["limit"])
    plan = action.plan(app, operator, act, make_selector(app, asked))
    check(plan)
    if how["dry_run"]:
        _show_plan(out, plan, dry_run_of(app, operator, act, plan))
        return
    check_reason(app, how["reason"])
    resumed = _action(app, how["resume"])
    if how["expect"] is None or how["expect"] == plan.count:
        confirm(plan.count, act.verb, yes=how["yes"])
        once_confirmed()
    with stopping_between_batches() as is_stopped:
        report = action.carry_out(
            app,
            operator,
            act,
            plan,
            reason=how["reason"],
            expect=how["expect"],
            rate=rate,
            is_stopped=is_stopped,
            progress=print_progress,
            resume=resumed,
        )
    show_report(out, report)


def show_report(out: Output, report: Report, *, again: str | None = None) -> None:
    """Report the action; exit 4 if runs were skipped, 130 if it was stopped.

    ``again`` tells how to continue; default: the command with ``--resume``.
    """
    what = f"{report.done:,} of {report.expected:,} {'run' if report.expected == 1 else 'runs'} {DONE[report.verb]}"
    pairs: list[tuple[str, object]] = [("done", what)]
    if report.done or report.skipped:
        pairs.append(("action", short_id(report.action_id)))
    out.record(
        [
            Section(pairs=[*pairs, *([("skipped", report.skipped)] if report.skipped else [])]),
            Section("New runs", columns=NEW_COLUMNS, rows=report.new_runs),
            Section("Skipped", columns=SKIPPED_COLUMNS, rows=report.some_skipped),
        ],
        data={
            "action": report.action_id,
            "verb": report.verb,
            "matched": report.expected,
            "done": report.done,
            "skipped": report.skipped,
            "interrupted": report.is_interrupted,
            "skipped_runs": [{"id": run_id, "why": why} for run_id, why in report.some_skipped],
            "new_runs": [{"id": new, "replays": old} for old, new in report.new_runs],
        },
    )
    if report.is_interrupted:
        raise CommandFailed(
            f"stopped after {report.done + report.skipped:,} of {report.expected:,} runs.",
            exit_code=Exit.INTERRUPTED,
            hint=again or f"To continue, run the same command with --resume {short_id(report.action_id)}.",
        )
    if report.skipped:
        raise CommandFailed(
            f"{report.skipped:,} {'run was' if report.skipped == 1 else 'runs were'} skipped.",
            exit_code=Exit.CONFLICT,
            hint=f"List all: {command_line(f'audit show {short_id(report.action_id)}')}.",
        )


def read_rate(text: str | None) -> float | None:
    """``50/s``, ``50``, ``600/m`` as runs a second."""
    if text is None:
        return None
    number, _, unit = text.partition("/")
    try:
        rate = float(number) / {"": 1, "s": 1, "m": 60, "h": 3600}[unit]
    except (ValueError, KeyError):
        rate = 0.0
    if not 0 < rate < 1e9:
        raise click.UsageError(f"--rate: {text!r} is not a rate: write 50/s or 600/m.")
    return rate


def _show_plan(out: Output, plan: ActionPlan, found: DryRun) -> None:
    runs = f"{plan.count:,} {'run' if plan.count == 1 else 'runs'}"
    left = f"{plan.count - found.skipped:,} of {runs} and skip {found.skipped:,}" if found.skipped else runs
    would = f"would {plan.verb} {left}; nothing was changed"
    out.record(
        [
            Section(pairs=[("dry run", would)]),
            Section("By kind", columns=GROUP_COLUMNS, rows=plan.groups),
            Section("The oldest", columns=RUN_COLUMNS[:7], rows=plan.sample),
            Section(
                f"Would change in {short_id(found.example)}" if found.example else "",
                columns=CHANGE_COLUMNS,
                rows=found.changes,
            ),
            Section("Would be skipped", columns=SKIPPED_COLUMNS, rows=found.some_skipped),
        ],
        data={
            "verb": plan.verb,
            "matched": plan.count,
            "groups": [{"kind": kind, "state": state, "count": count} for kind, state, count in plan.groups],
            "sample": [run_json(run) for run in plan.sample],
            "skipped": found.skipped,
            "skipped_runs": [{"id": run_id, "why": why} for run_id, why in found.some_skipped],
            "example": found.example,
            "changes": [{"what": what, "from": old, "to": new} for what, old, new in found.changes],
            "dry_run": True,
        },
    )


def _action(app: App, text: str | None) -> UUID | None:
    if text is None:
        return None
    from jobs.operations.audit.actions import find_action

    action, _ = find_action(app, this_operator(), text, limit=1)
    found = action["id"]
    assert isinstance(found, UUID)
    return found


def print_progress(report: Report) -> None:
    """Shows the progress of actions that take more than a moment."""
    if report.expected > 1000:
        streams.write_message(f"{report.done + report.skipped:,} of {report.expected:,}")


@contextmanager
def stopping_between_batches() -> Iterator[Callable[[], bool]]:
    """The first Ctrl-C waits for the current batch; the second does not."""
    stopped: list[int] = []

    def on_interrupt(signum: int, frame: FrameType | None) -> None:
        if stopped:
            raise KeyboardInterrupt
        stopped.append(signum)
        streams.write_message("stopping after this batch; press Ctrl-C again to stop at once")

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield lambda: bool(stopped)
    finally:
        signal.signal(signal.SIGINT, before)
