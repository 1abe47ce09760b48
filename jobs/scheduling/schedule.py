"""When a job is due: ``Cron``, ``Every`` or ``At``: checked when made. ``jobs.scheduling.slots`` computes with them.

A *slot* is one moment at which a schedule is due: aware, UTC. Slots follow from the schedule and from nothing
else (not from when a scheduler started, what ran before or which machine asks), so any number of schedulers
agree on them.

What a changing clock does to ``Cron``, case by case (Debian cron's rules, without its running clock):

==================================  =================================  =======================================
expression                          clocks set on (02:00 -> 03:00)     clocks set back (03:00 -> 02:00)
==================================  =================================  =======================================
fixed hours: ``30 2 * * *``,        moved to the gap's end, 03:00;     once: the first of the two 02:30
``0 1,2,3 * * *``, ``0-5 2 * * *``  once, however many were skipped
every hour: ``0 * * * *``,          every real hour; what the clock    in both of the two hours
``*/5 * * * *``, ``0 0-23 * * *``   skips does not come
``*`` in minutes with fixed hours:  only what the clock shows: none    in both
``*/15 2 * * *``, ``* 1-4 * * *``   in a skipped hour
``*/2`` in hours                    only what the clock shows          in both, if its hour comes twice
==================================  =================================  =======================================

So an expression *follows the clock* if its minute or hour field starts with ``*`` or names every value; any
other has *fixed hours*. Write ``0,15,30,45 2 * * *`` for a job that must be moved and not lost. Seconds do
not matter here. The same holds for changes of half an hour (Australia/Lord_Howe), of two hours
(Antarctica/Troll), at midnight (Africa/Cairo) and for a day that never was (Pacific/Apia, 2011-12-30: its
slot is moved to 00:00 of the 31st). An hourly ``15 * * * *`` where the gap is half an hour has one pause of
90 real minutes.

``Every`` counts real time from the epoch, or from its ``anchor``: clocks and zones do not touch it. ``At`` is
once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeAlias, get_args

from jobs.errors import DefinitionError
from jobs.formats.duration import MAX_DURATION
from jobs.formats.naming import MAX_NAME, WANTED, is_name
from jobs.scheduling.cron import calendar
from jobs.scheduling.zones import FIRST_YEAR, LAST_YEAR, zone

CatchUp: TypeAlias = Literal["latest", "skip", "all"]
Overlap: TypeAlias = Literal["allow", "skip", "queue_one", "cancel_running"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MIN_INTERVAL = timedelta(seconds=1)
"""The shortest ``Every``. Source: decision; each slot is a row, and a shorter interval needs a loop."""
DEFAULT_MAX_CATCH_UP = 100
"""Most missed slots that ``catch_up="all"`` fires. Source: decision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Schedule:
    """Options of every schedule.

    Args:
        name: unique among schedules; None for a job's own schedule, which has the name of the job's kind.
        job: the Job class to run, or a Job with its arguments; None on a class that carries the schedule.
        catch_up: what happens to slots that passed while no scheduler was running: ``latest`` fires the newest, ``all``
            the newest ``max_catch_up``, ``skip`` none. A slot up to 10 s old counts as on time and always fires; see
            ``jobs.scheduling.misfires``.
        max_catch_up: 1 or more.
        catch_up_window: missed slots older than this do not fire; None for no limit.
        overlap: what happens to a slot while an earlier run of this schedule is live: ``allow`` runs both,
            ``skip`` skips the slot, ``queue_one`` lets one wait, ``cancel_running`` cancels the earlier.
        jitter: each run starts up to this much later than its slot, the same for every scheduler.
        start: no slot before it; inclusive, aware.
        end: no slot after it; inclusive, aware.

    Raises:
        DefinitionError: a value is invalid, when the schedule is made.
    """

    name: str | None = None
    job: Any = field(default=None, hash=False)
    catch_up: CatchUp = "latest"
    max_catch_up: int = DEFAULT_MAX_CATCH_UP
    catch_up_window: timedelta | None = None
    overlap: Overlap = "allow"
    jitter: timedelta | None = None
    start: datetime | None = None
    end: datetime | None = None

    def __post_init__(self) -> None:
        of = type(self).__name__
        if self.name is not None and not is_name(self.name):
            raise DefinitionError(f"{of}(name=…) is 1 to {MAX_NAME} {WANTED}, got {self.name!r}.")
        for option, allowed in (("catch_up", get_args(CatchUp)), ("overlap", get_args(Overlap))):
            chosen = getattr(self, option)
            if chosen not in allowed:
                raise DefinitionError(f"{of}({option}=…) is one of {', '.join(allowed)}, got {chosen!r}.")
        # To Python a bool is an int, and `max_catch_up=True` is a mistake.
        if isinstance(self.max_catch_up, bool) or not isinstance(self.max_catch_up, int) or self.max_catch_up < 1:
            raise DefinitionError(f"{of}(max_catch_up=…) is a whole number of 1 or more, got {self.max_catch_up!r}.")
        for option in ("catch_up_window", "jitter"):
            if getattr(self, option) is not None:
                _check_span(getattr(self, option), f"{of}({option}=…)", least=timedelta(microseconds=1))
        for option in ("start", "end"):
            if getattr(self, option) is not None:
                _set(self, option, _moment(getattr(self, option), f"{of}({option}=…)"))
        if self.start is not None and self.end is not None and self.end < self.start:
            raise DefinitionError(
                f"{of}: its end, {self.end.isoformat()}, is before its start, {self.start.isoformat()}."
            )


@dataclass(frozen=True, slots=True)
class Cron(_Schedule):
    """Due when the clocks of ``timezone`` match ``expression``.

    Args:
        expression: ``minute hour day-of-month month day-of-week``, or six fields with seconds first. Names
            (MON, JAN), lists, ranges, steps, ``L``, ``LW``, ``5L``, ``1#2``; aliases such as ``@daily``. As
            in Debian's cron, day-of-month and day-of-week together mean either: ``0 9 1 * MON`` is the 1st
            and every Monday. They must both match only if one of them starts with ``*``.
        timezone: an IANA name; UTC if none is given.

    Raises:
        DefinitionError: the expression or the zone is invalid, or another option is.
    """

    expression: str
    timezone: str = field(default="UTC", kw_only=True)

    def __post_init__(self) -> None:
        _Schedule.__post_init__(self)
        zone(self.timezone)
        calendar(self.expression)


@dataclass(frozen=True, slots=True)
class Every(_Schedule):
    """Due at ``anchor`` and every ``interval`` of real time before and after it.

    Args:
        interval: one second to a hundred years.
        anchor: aware; None for 1970-01-01T00:00Z, so hours start on the hour (UTC) and weeks on Thursday.

    Raises:
        DefinitionError: an option is invalid.
    """

    interval: timedelta
    anchor: datetime | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        _Schedule.__post_init__(self)
        _check_span(self.interval, "Every(…)", least=MIN_INTERVAL)
        if self.anchor is not None:
            _set(self, "anchor", _moment(self.anchor, "Every(anchor=…)"))


@dataclass(frozen=True, slots=True)
class At(_Schedule):
    """Due once, at ``moment``: aware."""

    moment: datetime

    def __post_init__(self) -> None:
        _Schedule.__post_init__(self)
        _set(self, "moment", _moment(self.moment, "At(…)"))


Schedule: TypeAlias = Cron | Every | At


def _check_span(span: object, what: str, *, least: timedelta) -> None:
    if not isinstance(span, timedelta) or not least <= span <= MAX_DURATION:
        below = "1 second or more" if least == MIN_INTERVAL else "above zero"
        raise DefinitionError(f"{what} takes a timedelta, {below} and a hundred years at most, got {span!r}.")


def _moment(moment: object, what: str) -> datetime:
    """The moment in UTC, so that equal moments are equal values."""
    if not isinstance(moment, datetime):
        raise DefinitionError(f"{what} takes an aware datetime, got {moment!r}.")
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise DefinitionError(
            f"{what}: {moment.isoformat()} has no time zone, so it is not a moment.",
            hint="Write datetime(…, tzinfo=UTC), or tzinfo=ZoneInfo('Europe/Paris').",
        )
    if not FIRST_YEAR < moment.year < LAST_YEAR:
        raise DefinitionError(f"{what}: the year must be from {FIRST_YEAR + 1} to {LAST_YEAR - 1}, got {moment.year}.")
    return moment.astimezone(UTC)


def _set(schedule: _Schedule, name: str, value: object) -> None:
    # The only way to normalise a field of a frozen dataclass.
    object.__setattr__(schedule, name, value)
