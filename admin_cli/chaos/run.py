"""`jobs chaos run`: makes faults on a marked ledger, and proves from the ledger what must hold."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from admin_cli.chaos.log import Log, header, line_of, read_plan
from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.exits import CommandFailed, Exit
from admin_cli.program.options import DURATION, REASON, Globals, pass_globals
from admin_cli.terminal import streams
from admin_cli.terminal.output import Output, record_options
from admin_cli.terminal.record import Section
from jobs.formats.duration import format_duration
from jobs.formats.escaping import escape_controls

if TYPE_CHECKING:
    from jobs.app import App
    from jobs.operations.chaos.plan import PlannedFault
    from jobs.operations.chaos.proof import Invariant
    from jobs.operations.chaos.run import ChaosReport, Done

FAULTS = ("kill", "stop", "flush", "cut")


@click.command("run")
@click.option("--target", required=True, metavar="NAME", help="The name that the ledger is marked with, spelled out.")
@click.option("--for", "span", type=DURATION, help="How long, with the proof: 4s to 24h; default 2m.")
@click.option("--every", type=DURATION, help="Average time between two faults; default 5s.")
@click.option("--seed", type=int, help="Seed of the faults; default: a random one, which is printed.")
@click.option("--only", multiple=True, type=click.Choice(FAULTS), help="Only this fault; repeatable.")
@click.option("--log", "log", metavar="FILE", type=click.Path(path_type=Path), help="Write a log to a new file.")
@click.option(
    "--repeat", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Repeat a log."
)
@REASON
@record_options()
@pass_globals
def run_chaos(
    options: Globals,
    out: Output,
    target: str,
    span: timedelta | None,
    every: timedelta | None,
    seed: int | None,
    only: tuple[str, ...],
    log: Path | None,
    repeat: Path | None,
    reason: str | None,
) -> None:
    """Make faults for a while, then prove from the ledger what must hold.

    It kills, stops and thaws the workers of this host started with JOBS_CHAOS=NAME, deletes this ledger's
    keys of the ready index, and cuts the connections of those processes. The last part of the time is quiet: runs end,
    and the promises are checked. Exit 6 if one is broken, 4 if the ledger no longer allowed it.

    \b
    Examples:
      jobledger chaos run --target staging --for 2m --seed 7 --log chaos.jsonl
      jobledger chaos run --target staging --repeat chaos.jsonl
    """
    from jobs.operations.chaos.run import ChaosRun
    from worker.chaos.processes import WorkerProcesses

    if repeat is not None and (span or every or seed is not None or only):
        raise click.UsageError("--repeat takes everything from the log. Leave out --for, --every, --seed and --only.")
    # The connections of this command must not be among those that it cuts.
    os.environ.pop("JOBS_CHAOS", None)
    app = open_app(options)
    span, plan, asked = _plan(app, span, every, seed, only, repeat)
    lines = Log(log, header(target, span, asked))

    def on_done(done: Done) -> None:
        lines.write(line_of(done))
        streams.write_message(escape_controls(_line(done)))

    with _terminable(), WorkerProcesses() as processes:
        chaos = ChaosRun(
            app, this_operator(), processes, target=target, span=span, plan=plan, options=asked, reason=reason,
            on_done=on_done,
        )  # fmt: skip
        report = chaos.run()
    data = report_json(report, asked)
    lines.write({"report": {name: value for name, value in data.items() if name != "made"}})
    _show(out, report, data)
    _fail_unless_well(report)


def _plan(
    app: App,
    span: timedelta | None,
    every: timedelta | None,
    seed: int | None,
    only: tuple[str, ...],
    repeat: Path | None,
) -> tuple[timedelta, tuple[PlannedFault, ...], dict[str, Any]]:
    """The length of the run, its faults, and what they were made from."""
    from jobs.operations.chaos.plan import make_plan
    from jobs.operations.chaos.run import possible_faults

    if repeat is not None:
        span, plan = read_plan(repeat)
        return span, plan, {"repeats": repeat.name, "seed": None, "every_seconds": None, "faults": []}
    span, every = span or timedelta(minutes=2), every or timedelta(seconds=5)
    possible = possible_faults(app)
    chosen = [one for one in possible if not only or one.value in only]
    if len(chosen) < len(set(only)) or not chosen:
        missing = sorted(set(only) - {one.value for one in chosen})
        raise click.UsageError(f"--only {missing[0]}: this ledger cannot have it. It can have: {_names(possible)}.")
    if seed is None:
        seed = app.clock.rng.randrange(10**6)
    plan = make_plan(seed, span=span, every=every, faults=chosen, lease=app.settings.lease)
    streams.write_message(f"seed {seed}: {len(plan)} faults in {format_duration(span)}: {_names(chosen)}")
    asked = {"repeats": None, "seed": seed, "every_seconds": every.total_seconds()}
    return span, plan, {**asked, "faults": [one.value for one in chosen]}


def report_json(report: ChaosReport, asked: dict[str, Any]) -> dict[str, Any]:
    """The whole report, as JSON."""
    return {
        "target": report.target,
        **asked,
        "action": report.action_id,
        "since": report.since,
        "took_seconds": report.took_seconds,
        "ended_early": report.ended_early,
        "holds": report.holds,
        "promises": [
            {
                "name": one.name,
                "promise": one.promise,
                "holds": one.holds,
                "counts": one.counts,
                "breaches": [{"run_id": breach.run_id, "why": breach.why} for breach in one.breaches],
            }
            for one in report.invariants
        ],
        "made": [line_of(done) for done in report.done],
    }


def _show(out: Output, report: ChaosReport, data: dict[str, Any]) -> None:
    made = sum(one.is_made and one.planned is not None for one in report.done)
    pairs: list[tuple[str, object]] = [
        ("target", report.target), ("seed", data["seed"]), ("faults", made),
        ("took", f"{report.took_seconds:g} s"), ("ended early", report.ended_early),
        ("action", str(report.action_id)),
    ]  # fmt: skip
    promises = [(one.name, _explained(one)) for one in report.invariants]
    broken = [(str(breach.run_id), breach.why) for one in report.invariants for breach in one.breaches]
    out.record(
        [
            Section(pairs=[(name, value) for name, value in pairs if value is not None]),
            Section("Promises", pairs=promises),
            Section("Runs that break one", pairs=broken),
        ],
        data=data,
    )


def _explained(one: Invariant) -> str:
    found = ", ".join(f"{count:,} {word}" for word, count in one.counts.items()) or "nothing to check"
    return f"{'holds' if one.holds else 'BROKEN'}: {one.promise} ({found})"


def _fail_unless_well(report: ChaosReport) -> None:
    broken = [one.name for one in report.invariants if not one.holds]
    if broken:
        raise CommandFailed(
            f"{len(broken)} of {len(report.invariants)} promises are broken: {', '.join(broken)}.",
            exit_code=Exit.UNHEALTHY,
            hint="jobledger show RUN shows the attempts of a run.",
        )
    if report.ended_early is not None:
        raise CommandFailed(
            f"Every promise holds, but chaos ended early: {report.ended_early}", exit_code=Exit.CONFLICT
        )


@contextmanager
def _terminable() -> Iterator[None]:
    """End as by Ctrl-C if told to terminate, so that stopped processes are thawed."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _line(done: Done) -> str:
    fault = "" if done.planned is None or done.is_made else f"{done.planned.fault.value} not made: "
    return f"{done.at:7.1f} s  {fault}{done.did}{f' {done.worker}' if done.worker else ''}"


def _names(faults: Any) -> str:
    return ", ".join(one.value for one in faults)
