"""`jobs breakers`: which breakers are open and why, and their release."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.options import REASON, Globals, pass_globals
from admin_cli.runs.run_columns import fields_of
from admin_cli.terminal import streams
from admin_cli.terminal.columns import Column
from admin_cli.terminal.output import Output, output_options, record_options
from admin_cli.terminal.record import Section
from jobs.formats.escaping import escape_controls

if TYPE_CHECKING:
    from jobs.ledger.breakers.reports import BreakerRecord


def _state(one: BreakerRecord) -> str:
    if not one.open:
        return "closed"
    return "open" if one.keyed_by is None else f"{one.open} open"


def _red(value: object) -> str | None:
    return None if value == "closed" else "red"


BREAKER_COLUMNS = (
    Column("name", heading="BREAKER", gives=1, min_width=10),
    Column("keyed_by", heading="BY", gives=4),
    Column("state", _state, paint=_red),
    Column("parked", paint=lambda value: "yellow" if value else None),
    Column("opened_at", heading="SINCE", gives=3),
    Column("probe_at", heading="CANARY AT", gives=2),
)
_NAMES = ("state", "parked", "open since", "canary at")
KEY_COLUMNS = (
    Column("key", gives=1, min_width=10),
    Column("parked", paint=lambda value: "yellow" if value else None),
    Column("error_type", heading="ERROR", gives=2),
    Column("fingerprint", gives=3),
    Column("probe_at", heading="CANARY AT", gives=4),
)


@click.group("breakers")
def breakers() -> None:
    """Breakers: list, show and release them.

    \b
    Example:
      jobledger breakers release stripe --canary 10 --reason "it is fixed"
    """


@breakers.command("list")
@output_options(BREAKER_COLUMNS)
@pass_globals
def list_breakers(options: Globals, out: Output) -> None:
    """List the breakers that workers have declared.

    \b
    Example:
      jobledger breakers list
    """
    from jobs.operations.control import breakers as operations

    every = operations.list_breakers(open_app(options), this_operator())
    out.rows(every, as_json=fields_of, empty="no worker has declared a breaker")


@breakers.command("show")
@click.argument("name", metavar="BREAKER")
@record_options()
@pass_globals
def show_breaker(options: Globals, out: Output, name: str) -> None:
    """Show a breaker: why it is open, what is parked, and its open keys.

    \b
    Example:
      jobledger breakers show stripe
    """
    from jobs.operations.control import breakers as operations

    one, keys = operations.show_breaker(open_app(options), this_operator(), name)
    rule = f"{one.after} failures in {one.within_seconds:g} s, open for {one.open_seconds:g} s"
    pairs: list[tuple[str, object]] = [("breaker", one.name), ("by", one.keyed_by or "one for all"), ("rule", rule)]
    pairs += [(name, column.of(one)) for name, column in zip(_NAMES, BREAKER_COLUMNS[2:], strict=True)]
    if one.error_type is not None:
        pairs += [("last failure", one.error_type), ("fingerprint", one.fingerprint)]
        pairs += [("failures", one.failures), ("failed canaries", one.failed_canaries)]
    out.record(
        [Section(pairs=pairs), Section("Open keys", columns=KEY_COLUMNS, rows=keys)],
        data={"breaker": one, "keys": keys},
    )


@breakers.command("release")
@click.argument("what", metavar="BREAKER|FINGERPRINT")
@click.option("--key", metavar="TEXT", help="Only this key: the value of the breaker's field.")
@click.option("--canary", type=int, metavar="N", help="Let N parked runs of each go first, instead of all.")
@REASON
@pass_globals
def release_breaker(options: Globals, what: str, key: str | None, canary: int | None, reason: str | None) -> None:
    """Close an open breaker now, or let some runs try first. It cannot be undone.

    With --canary N it closes once all of them have succeeded, and the first failure opens it again. A fingerprint
    releases every breaker that its failure opened.

    \b
    Examples:
      jobledger breakers release stripe --canary 10 --reason "it is fixed"
      jobledger breakers release Charge --key eu-17
    """
    from jobs.operations.control import breakers as operations

    count, ready = operations.release(open_app(options), this_operator(), what, key=key, canary=canary, reason=reason)
    some = "1 breaker" if count == 1 else f"{count:,} breakers"
    runs = "1 run is" if ready == 1 else f"{ready:,} runs are"
    done = "released" if canary is None else "tried again"
    streams.write_message(escape_controls(f"{what}: {some} {done}; {runs} ready."))
