"""`jobs compat`: checks before a deploy whether the arguments in the ledger fit the code at hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.exits import CommandFailed, Exit
from admin_cli.program.options import IMPORT, Globals, pass_globals
from admin_cli.runs.selector_options import MANY, complete_kinds
from admin_cli.terminal import streams
from admin_cli.terminal.columns import Column
from admin_cli.terminal.output import Output, output_options

if TYPE_CHECKING:
    from jobs.operations.deploys.compat import KindCompat

RESULT_STYLES = {"does not fit": "red", "kind removed": "red", "kind unknown": "red", "fits by upcast": "yellow"}
COLUMNS = (
    Column("kind", gives=1, min_width=10),
    Column("place", heading="IN"),
    Column("number", heading="RUNS"),
    Column("checked", gives=5),
    Column("result", paint=lambda value: RESULT_STYLES.get(str(value))),
    Column("field", gives=3),
    Column("misfits", heading="BAD"),
    Column("since", gives=4),
    Column("example", is_id=True, gives=2),
    Column("version", is_wide=True),
    Column("why", is_wide=True, gives=6),
)


@click.command("compat")
@IMPORT
@click.option("-k", "--kind", "kinds", **MANY, shell_complete=complete_kinds, help="Kind; * and ? match.")
@click.option(
    "--sample", type=click.IntRange(1), metavar="N",
    help="Runs checked of each kind, queue and state; by default up to 5,000.",
)  # fmt: skip
@click.option("--all", "is_all", is_flag=True, help="Check every run, however many there are.")
@output_options(COLUMNS)
@pass_globals
def compat(
    options: Globals, out: Output, imports: tuple[str, ...], kinds: tuple[str, ...], sample: int | None, is_all: bool
) -> None:
    """Check before a deploy: do the ledger's arguments fit the code?

    Run it with the code of the next release before you deploy it: exit 6 if something that waits would break. It reads
    the arguments of waiting, running and dead runs, of follow-ups, and of schedules that operators made. It performs
    nothing and changes nothing.

    \b
    Examples:
      jobledger compat --import shop.jobs
      jobledger compat --import shop.jobs --kind 'Charge*' -o json
    """
    from jobs.definition import registry
    from jobs.operations.deploys.compat import compare

    app = open_app(options, imports=imports)
    try:
        if not registry.kinds():
            raise click.UsageError("No kind is known: name the application's modules with --import, or JOBS_IMPORTS.")
        limits: dict[str, int | None] = {"sample": None} if is_all else {}
        if sample is not None and not is_all:
            limits = {"sample": sample, "in_all": None}
        found = compare(app, this_operator(), kinds=kinds, **limits)
    finally:
        app.close()
    rows = [row for one in found for row in _rows(one)]
    breaking = [one for one in found if one.breaks]
    used = next((one.sample for one in found), sample)
    meta = {"breaks": bool(breaking), "sample": None if is_all else used}
    out.rows(rows, as_json=lambda row: row, meta=meta, empty="the ledger has no arguments to check")
    if any(one.is_sampled for one in found):
        streams.write_message(f"{used:,} runs of each kind, queue and state were checked; --all checks every run.")
    if breaking:
        told = "; ".join(_dead_text(one) for one in breaking[:3]) + ("; …" if len(breaking) > 3 else "")
        raise CommandFailed(
            f"This code breaks what waits: {told}.",
            exit_code=Exit.UNHEALTHY,
            hint="docs/deploys.md shows how to change a job: raise version= and write upcast, or keep the old field.",
        )


def _rows(one: KindCompat) -> Iterator[dict[str, Any]]:
    """One row for each group of misfits; else one for the kind."""
    row = {
        "kind": one.kind,
        "place": one.place,
        "number": one.number,
        "checked": one.fit.checked,
        "result": one.result.value,
        "breaks": one.breaks,
        "by_upcast": one.fit.by_upcast,
        "field": None,
        "misfits": 0,
        "since": None,
        "example": None,
        "version": None,
        "why": None,
        "here": str(one.here) if one.here is not None else None,
        "live": [{"release": str(release) if release else None, "workers": n} for release, n in one.live.items()],
    }
    if not one.misfits:
        yield row
    for misfit in one.misfits:
        yield row | {
            "field": misfit.field,
            "misfits": misfit.count,
            "since": misfit.since,
            "example": misfit.example,
            "version": misfit.version,
            "why": misfit.why,
        }


def _dead_text(one: KindCompat) -> str:
    what = f"{one.number:,} {one.place}" if one.place in ("schedules", "follow-ups") else f"{one.place} runs"
    if not one.misfits:
        return f"{one.kind}: {one.number:,} {one.place}: {one.result.value}"
    worst = one.misfits[0]
    return f"{one.kind}: {worst.count:,} of {one.fit.checked:,} {what} checked do not fit ({worst.field or worst.why})"
