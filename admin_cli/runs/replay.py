"""`jobs replay`: replays dead and cancelled runs, or makes new runs with changed arguments."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.options import DURATION, IMPORT, Globals, pass_globals
from admin_cli.runs.bulk import act_on, bulk_options
from admin_cli.runs.selector_options import selector_options
from admin_cli.runs.shadow import ALLOW, ShadowOrder, check_in_shadow
from admin_cli.terminal.output import Output, record_options

if TYPE_CHECKING:
    from jobs.app import App
    from jobs.operations.bulk.action import ActionPlan
    from jobs.operations.runs.selector import SelectorInput


R = TypeVar("R")

_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    selector_options,
    click.option(
        "--set", "sets", metavar="NAME=VALUE", multiple=True, help="Change an argument; makes a new run for each run."
    ),
    click.option("--edit", is_flag=True, help="Edit the arguments of one run in $EDITOR; makes a new run."),
    click.option("--in", "delay", type=DURATION, metavar="DURATION", help="Delay the runs by this long."),
    click.option("--to-queue", metavar="TEXT", help="Move the runs to this queue."),
    click.option("--priority", type=int, metavar="N", help="Change the priority; smaller numbers run first."),
    click.option(
        "--steps",
        type=click.Choice(["keep", "reset"]),
        default="keep",
        show_default=True,
        help="Keep the results of steps, or do the steps again.",
    ),
    click.option(
        "--from", "from_step", metavar="STEP", help="Keep the steps that began before this one; do the rest again."
    ),
    click.option(
        "--shadow",
        "in_shadow",
        type=click.IntRange(1, 1000),
        metavar="N",
        help="First perform the latest N in the shadow; replay nothing if one would fail.",
    ),
    ALLOW,
    bulk_options,
    IMPORT,
    record_options(),
)


def replay_options(command: Callable[..., R]) -> Callable[..., R]:
    """Adds the options of a replay to a command: selector, bulk options, and arguments of ``replay_runs``."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command("replay")
@replay_options
@pass_globals
def replay(options: Globals, /, out: Output, asked: SelectorInput, how: dict[str, Any], **given: Any) -> None:
    """Replay dead runs with a new retry budget.

    A dead or cancelled run is reopened and keeps its id. With --set or --edit, and for a run that succeeded
    (--state succeeded), a new run is made that names the old one. A run whose key a live run holds is skipped, and so
    is one with an unknown effect: see `effects resolve`. With --shadow N, the latest N runs are first performed in the
    shadow (see `shadow`), and if one of them would fail again, nothing is replayed: exit 6.

    \b
    Examples:
      jobledger replay c9165be1
      jobledger replay --fingerprint c41d9e2a77b0 --dry-run
      jobledger replay --kind ChargeCard --set card=ok --import shop.jobs
    """
    replay_runs(options, out, asked, how, **given)


def replay_runs(
    options: Globals,
    out: Output,
    asked: SelectorInput,
    how: dict[str, Any],
    *,
    sets: tuple[str, ...],
    edit: bool,
    delay: timedelta | None,
    steps: str,
    from_step: str | None,
    to_queue: str | None,
    priority: int | None,
    in_shadow: int | None,
    allow: tuple[tuple[str, int], ...],
    imports: tuple[str, ...],
) -> None:
    from jobs.operations.bulk.argument_changes import check_changes
    from jobs.operations.bulk.replay import ReplayAction

    if from_step is not None and steps == "reset":
        raise click.UsageError("--from cannot be used with --steps reset.")
    if edit and (sets or how["dry_run"]):
        raise click.UsageError("--edit cannot be used with --set or --dry-run.")
    if in_shadow is not None and (sets or edit or steps == "reset"):
        raise click.UsageError("--shadow performs runs as they are: leave out --set, --edit and --steps reset.")
    app = open_app(options, imports=imports if sets or edit else None)
    changes = _edited(app, asked) if edit else _changes(sets)
    act = ReplayAction(
        app=app,
        operator=this_operator(),
        changes=changes,
        queue=to_queue,
        priority=priority,
        delay_seconds=delay.total_seconds() if delay else None,
        reset_steps=steps == "reset",
        from_step=from_step,
    )

    def check(plan: ActionPlan) -> None:
        if changes:
            check_changes(changes, sorted({kind for kind, _, _ in plan.groups}))
        if in_shadow is not None and plan.count:
            check_in_shadow(
                options, app, ShadowOrder(plan.selector, imports, allow, limit=in_shadow, reason=how["reason"])
            )

    act_on(app, out, act, asked, how, check=check)


def _changes(sets: tuple[str, ...]) -> dict[str, Any]:
    from admin_cli.runs.enqueue import _value

    changes = {}
    for one in sets:
        name, sign, value = one.partition("=")
        if not sign or not name:
            raise click.UsageError(f"--set {one!r} is not in the form NAME=VALUE.")
        changes[name] = _value(name, value)
    return changes


def _edited(app: App, asked: SelectorInput) -> dict[str, Any]:
    from jobs.operations.runs.inspect import find_run

    if len(asked.ids) != 1:
        raise click.UsageError("--edit works on one run: give its id.")
    run, _ = find_run(app, this_operator(), asked.ids[0])
    text = click.edit(json.dumps(run.arguments, indent=2, ensure_ascii=False) + "\n", extension=".json")
    if text is None:
        raise click.UsageError("the editor saved nothing, so nothing is replayed.")
    try:
        given = json.loads(text)
    except ValueError as error:
        raise click.UsageError(f"the saved text is not JSON: {error}.") from None
    if not isinstance(given, dict):
        raise click.UsageError("the saved text is not a JSON object of arguments.")
    gone = sorted(set(run.arguments) - set(given))
    if gone:
        raise click.UsageError(f"{gone[0]!r} was removed; you can only change an argument.")
    changes = {name: value for name, value in given.items() if run.arguments.get(name) != value}
    if not changes:
        raise click.UsageError("no argument was changed, so nothing is replayed.")
    return changes
