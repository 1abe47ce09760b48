"""The timing options that `schedules create`, `edit` and `preview` share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, TypeVar

import click

from admin_cli.program.options import DURATION

R = TypeVar("R")


class MomentType(click.ParamType[datetime]):
    """``2026-12-24``, ``2026-12-24T18:00``, ``2026-12-24T18:00+01:00``; the zone may come later."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            return datetime.fromisoformat(str(value).strip())
        except ValueError:
            self.fail(f"{value!r} is not a moment: write 2026-12-24T18:00 or 2026-12-24T18:00+01:00.", param, ctx)


MOMENT = MomentType()

_TIMING = (
    click.option("--cron", "expression", metavar="EXPR", help="Five fields, or six with seconds first."),
    click.option(
        "--every", "interval", type=DURATION, metavar="DURATION", help="Fixed interval of real time: 30s, 5m."
    ),
    click.option("--at", "moment", type=MOMENT, metavar="MOMENT", help="Once, at this moment."),
    click.option("--timezone", help="Time zone of --cron and of moments without a zone; default: UTC."),
    click.option("--anchor", type=MOMENT, metavar="MOMENT", help="Start of the count of --every."),
    click.option("--start", type=MOMENT, metavar="MOMENT", help="No slot before."),
    click.option("--end", type=MOMENT, metavar="MOMENT", help="No slot after."),
    click.option("--jitter", type=DURATION, metavar="DURATION", help="Delay each run by a random time up to this."),
)
_POLICY = (
    click.option(
        "--catch-up",
        type=click.Choice(["latest", "skip", "all"]),
        help="Policy for missed slots; a slot up to 10 s old is on time.",
    ),
    click.option("--max-catch-up", type=click.IntRange(1), help="With --catch-up all: at most this many slots."),
    click.option("--catch-up-window", type=DURATION, metavar="DURATION", help="Older missed slots get no run."),
    click.option(
        "--overlap",
        type=click.Choice(["allow", "skip", "queue_one", "cancel_running"]),
        help="Policy for a slot while an earlier run is unfinished.",
    ),
)
_SPANS = {"interval": "interval_seconds", "jitter": "jitter_seconds", "catch_up_window": "catch_up_window_seconds"}
_MOMENTS = ("moment", "anchor", "start", "end")
_TYPES = {"expression": "cron", "interval": "every", "moment": "at"}


def timing_options(command: Callable[..., R]) -> Callable[..., R]:
    """Adds ``--cron … --jitter`` to a command, as one argument, ``data``: the given keys of a schedule's data."""
    return _collected(command, _TIMING)


def schedule_options(command: Callable[..., R]) -> Callable[..., R]:
    """Adds ``timing_options`` and the policy options."""
    return _collected(command, (*_TIMING, *_POLICY))


def in_zone(moment: datetime, zone: tzinfo) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)


def zone_of(name: str | None) -> tzinfo:
    """The zone of this name; UTC without a name.

    Raises:
        DefinitionError: there is no such zone; the message names the nearest.
    """
    from jobs.scheduling.zones import zone

    return zone(name) if name else UTC


def _collected(command: Callable[..., R], options: tuple[Any, ...]) -> Callable[..., R]:
    @functools.wraps(command)
    def collect(*args: Any, **kwargs: Any) -> R:
        names = [*_TYPES, "timezone", "anchor", "start", "end", "jitter"]
        names += ["catch_up", "max_catch_up", "catch_up_window", "overlap"]
        given = {name: kwargs.pop(name) for name in names if name in kwargs}
        return command(*args, data=_data({name: value for name, value in given.items() if value is not None}), **kwargs)

    for option in reversed(options):
        collect = option(collect)
    return collect


def _data(given: dict[str, Any]) -> dict[str, Any]:
    types = [name for name in _TYPES if name in given]
    if len(types) > 1:
        raise click.UsageError("Give one of --cron, --every and --at.")
    data: dict[str, Any] = {"type": _TYPES[types[0]]} if types else {}
    zone = zone_of(given.get("timezone"))
    for name, value in given.items():
        if name == "timezone" and data.get("type") in ("every", "at"):
            # There it only sets the zone of moments without one.
            continue
        if isinstance(value, timedelta):
            value = value.total_seconds()
        elif name in _MOMENTS:
            value = in_zone(value, zone).isoformat()
        data[_SPANS.get(name, name)] = value
    return data
