"""`jobs limits`: how many runs may perform at once or start within a span, and what operators change of that."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.options import DURATION, REASON, Globals, pass_globals
from admin_cli.runs.run_columns import fields_of
from admin_cli.terminal import streams
from admin_cli.terminal.columns import Column
from admin_cli.terminal.output import Output, output_options, record_options
from admin_cli.terminal.record import Section
from jobs.formats.escaping import escape_controls

if TYPE_CHECKING:
    from jobs.ledger.limits.reports import LimitRecord


def _declared(limit: LimitRecord) -> str | None:
    """What code declares, if an operator set something else."""
    said = [
        str(limit.most) if limit.set_most is not None else None,
        limit.rate if limit.set_rate is not None else None,
    ]
    return ", ".join(one for one in said if one is not None) or None


def _keyed_by(limit: LimitRecord) -> str | None:
    return limit.keyed_by or limit.rate_keyed_by


LIMIT_COLUMNS = (
    Column("name", heading="LIMIT", gives=1, min_width=10),
    Column("keyed_by", _keyed_by, heading="BY"),
    Column("allowed", lambda limit: limit.allowed, heading="MOST"),
    Column("pace", lambda limit: limit.pace, heading="RATE"),
    Column("in_use", heading="IN USE"),
    Column("parked", paint=lambda value: "yellow" if value else None),
    Column("declared", _declared, heading="IN CODE", gives=3),
    Column("hold_until", heading="HELD UNTIL", gives=2),
    Column("next_slot_at", heading="NEXT SLOT", gives=4),
)
KEY_COLUMNS = (
    Column("key", gives=1, min_width=10),
    Column("set_most", heading="SET"),
    Column("set_rate", heading="SET RATE"),
    Column("in_use", heading="IN USE"),
    Column("parked", paint=lambda value: "yellow" if value else None),
    Column("hold_until", heading="HELD UNTIL", gives=2),
    Column("next_slot_at", heading="NEXT SLOT", gives=3),
)


@click.group("limits")
def limits() -> None:
    """Limits and rates of runs: list, set and clear them.

    \b
    Example:
      jobledger limits set stripe --most 3 --reason "they asked us to slow down"
    """


@limits.command("list")
@output_options(LIMIT_COLUMNS)
@pass_globals
def list_limits(options: Globals, out: Output) -> None:
    """List the limits that workers have declared.

    \b
    Example:
      jobledger limits list
    """
    from jobs.operations.control import limits as operations

    every = operations.list_limits(open_app(options), this_operator())
    out.rows(every, as_json=fields_of, empty="no worker has declared a limit")


@limits.command("show")
@click.argument("name", metavar="LIMIT")
@record_options()
@pass_globals
def show_limit(options: Globals, out: Output, name: str) -> None:
    """Show a limit, and its keys that are in use, that are full, or for which something is set.

    \b
    Example:
      jobledger limits show stripe
    """
    from jobs.operations.control import limits as operations

    limit, keys = operations.show_limit(open_app(options), this_operator(), name)
    pairs: list[tuple[str, object]] = [("limit", limit.name), ("by", _keyed_by(limit) or "one for all")]
    pairs += [(one.name.replace("_", " "), one.of(limit)) for one in LIMIT_COLUMNS[2:]]
    if limit.burst is not None:
        pairs.append(("burst", limit.burst))
    out.record(
        [Section(pairs=pairs), Section("Keys", columns=KEY_COLUMNS, rows=keys)], data={"limit": limit, "keys": keys}
    )


@limits.command("set")
@click.argument("name", metavar="LIMIT")
@click.option("--key", metavar="TEXT", help="Only for this key: the value of the limit's field.")
@click.option("--most", type=int, metavar="N", help="At most so many runs perform at once.")
@click.option("--rate", metavar="COUNT/SPAN", help="So many runs start within a span: 100/m, 5/s, 10/h.")
@click.option("--hold", type=DURATION, metavar="DURATION", help="Start no run for this long.")
@REASON
@pass_globals
def set_limit(
    options: Globals,
    name: str,
    key: str | None,
    most: int | None,
    rate: str | None,
    hold: timedelta | None,
    reason: str | None,
) -> None:
    """Set a limit while everything runs; what is set wins over the code until it is cleared. Interrupts nothing.

    \b
    Examples:
      jobledger limits set stripe --most 3 --reason "they asked us to slow down"
      jobledger limits set stripe --rate 100/m
      jobledger limits set Charge --key eu-17 --hold 10m
    """
    from jobs.operations.control import limits as operations

    done = operations.set_limit(
        open_app(options), this_operator(), name, key=key, most=most, rate=rate, hold=hold, reason=reason
    )
    _print_limit(name, key, done)


@limits.command("clear")
@click.argument("name", metavar="LIMIT")
@click.option("--key", metavar="TEXT", help="Only what is set for this key.")
@REASON
@pass_globals
def clear_limit(options: Globals, name: str, key: str | None, reason: str | None) -> None:
    """Clear what operators set of a limit: what the code declares is in force again.

    \b
    Example:
      jobledger limits clear stripe
    """
    from jobs.operations.control import limits as operations

    done = operations.clear_limit(open_app(options), this_operator(), name, key=key, reason=reason)
    _print_limit(name, key, done)


def _print_limit(name: str, key: str | None, limit: LimitRecord) -> None:
    numbers = []
    if limit.allowed is not None:
        numbers.append(f"at most {limit.allowed} at once")
    if limit.pace is not None:
        numbers.append(f"{limit.pace} start")
    allows = " and ".join(numbers) or "what the code declares"
    held = "" if limit.hold_until is None else f"; no run starts before {limit.hold_until:%Y-%m-%d %H:%M:%S} UTC"
    of_key = "" if key is None else f" for the key {key}"
    said = f"limit {name}{of_key}: {allows}{held}; {limit.in_use} in use, {limit.parked} parked."
    streams.write_message(escape_controls(said))
