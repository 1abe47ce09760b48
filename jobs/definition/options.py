"""The options of a job class: checked when the class is defined, inherited by its subclasses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Any

from jobs.definition.breaker import Breaker
from jobs.definition.limit import Limit
from jobs.definition.max_waiting import MAX_WAITING, ON_FULL
from jobs.definition.rate import Rate
from jobs.definition.retry import Retry
from jobs.definition.unique import Unique
from jobs.errors import DefinitionError
from jobs.formats.nearest import did_you_mean
from jobs.formats.shown import shown
from jobs.formats.size import parse_size
from jobs.priority import MAX_PRIORITY, MIN_PRIORITY
from jobs.scheduling.schedule import At, Cron, Every, Schedule
from jobs.targets.target import Target

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:\-]*")
MAX_KIND, MAX_QUEUE = 200, 100
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
MIN_MEMORY = 16 * 2**20
"""Source: decision; with less a process cannot even report the error."""
MAX_MEMORY = 2**60
"""More than any machine has; larger values overflow the system's limits."""
MAX_RETAIN = timedelta(days=36500)
"""A hundred years. Source: decision, as for ``JOBS_RETAIN_…``."""
DEFAULT_TIMEOUT = timedelta(minutes=10)
"""Source: decision; long enough for typical background jobs, short enough to notice a hang."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """A job's class keywords.

    kind: the name its runs are recorded under; by default the name of the class. Never inherited.
    aliases: former kinds, still performed. Never inherited.
    queue: the queue of its runs.
    priority: smaller first, from -1000 to 1000.
    timeout: the soft time limit of an attempt; None is no limit.
    retry: when failed attempts are tried again.
    version: of its arguments; raise it when their form changes, and convert old ones in ``upcast``.
    unique: how long a key is held; ``WHILE_LIVE`` by default.
    limits: how many of its runs may perform at once, and start within a span; a ``Limit`` or ``Rate``, or several.
    breaker: after how many failures its runs are parked instead of tried; a ``Breaker``.
    fair_by: the field or method that names a run's tenant: within a queue and priority, tenants take turns.
    fair_weight: turns of a tenant, 1 by default: a number, a field or method, or a dictionary of numbers by tenant.
    max_waiting: how many of its runs may wait at once; an enqueue beyond raises ``QueueFull``. None is no limit.
    on_full: what an enqueue does when its queue or kind is full: ``raise``, ``drop`` or ``wait``.
    retain: how long its runs are kept after they ended, in whichever state; by default as the settings say.
    schedule: when a scheduler makes runs of it; one or several. Never inherited.
    isolated: perform in a child process, because the job may crash, leak or block.
    memory: memory limit of an attempt ("512M", or bytes); above it the outcome is ``out_of_memory``. Implies
    ``isolated``.
    redact: fields that hold secrets or personal data, besides those of the type ``Secret[…]``; a subclass adds to them.
    capture_logs: keep what an attempt logs through ``logging`` and prints: True, False, or the name of a level. None:
    as ``JOBS_CAPTURE_LOGS`` says.
    target: how long its ready runs may wait and which share of them shall succeed; a ``Target``.
    seal: store all arguments, the result and steps encrypted, besides fields of the type ``Sealed[…]``.
    subject: the field that names whose data the sealed values are, which have a key of their own then.
    """

    kind: str = ""
    aliases: tuple[str, ...] = ()
    queue: str = "default"
    priority: int = 0
    timeout: timedelta | None = DEFAULT_TIMEOUT
    retry: Retry = Retry()  # noqa: RUF009
    version: int = 1
    isolated: bool = False
    memory: int | None = None
    unique: Unique | None = None
    limits: tuple[Limit | Rate, ...] = ()
    breaker: Breaker | None = None
    fair_by: str | None = None
    fair_weight: Any = None
    max_waiting: int | None = None
    on_full: str = "raise"
    retain: timedelta | None = None
    schedule: Schedule | tuple[Schedule, ...] | None = None
    redact: frozenset[str] = frozenset()
    capture_logs: bool | str | None = None
    target: Target | None = None
    seal: bool = False
    subject: str | None = None

    @property
    def schedules(self) -> tuple[Schedule, ...]:
        """The job's own schedules."""
        if self.schedule is None:
            return ()
        return self.schedule if isinstance(self.schedule, tuple) else (self.schedule,)


NOT_INHERITED = {"kind": "", "aliases": (), "schedule": None}


def derive(parent: Options, given: dict[str, Any], *, name: str, place: str) -> Options:
    """The options of a class: its parent's, changed by its own keywords.

    Raises:
        DefinitionError: an unknown keyword (the message names the nearest), or an invalid value.
    """
    known = [field.name for field in fields(Options)]
    for keyword in given:
        if keyword not in known:
            raise DefinitionError(
                f"Unknown option {keyword!r} of job {place}.",
                hint=did_you_mean(keyword, known, otherwise=f"Options are: {', '.join(known)}."),
            )
    values = {**NOT_INHERITED, "kind": name, **given}
    if isinstance(values.get("limits"), Limit | Rate):
        values["limits"] = (values["limits"],)
    for option in ("aliases", "schedule", "limits"):
        if isinstance(values.get(option), list):
            values[option] = tuple(values[option])
    if isinstance(values.get("redact"), set | list | tuple):
        values["redact"] = frozenset(values["redact"])
    if isinstance(values.get("redact"), frozenset):
        values["redact"] |= parent.redact
    if isinstance(values.get("memory"), str):
        try:
            values["memory"] = parse_size(values["memory"])
        except ValueError as error:
            raise DefinitionError(f"Option memory of job {place}: {error}") from None
    options = replace(parent, **values)
    _check(options, place)
    return options


def check_name(value: Any, *, what: str, longest: int) -> str:
    """``value``, if it is a valid name for a kind or a queue.

    Raises:
        DefinitionError: it is not.
    """
    if not isinstance(value, str) or not NAME.fullmatch(value) or len(value) > longest:
        raise DefinitionError(
            f"{shown(value)} cannot name a {what}.",
            hint=f"Use letters, digits and _ . : - , at most {longest}.",
        )
    return value


def _check(options: Options, place: str) -> None:
    def refuse(name: str, wanted: str) -> None:
        raise DefinitionError(f"Option {name} of job {place} takes {wanted}, got {getattr(options, name)!r}.")

    check_name(options.kind, what="kind", longest=MAX_KIND)
    check_name(options.queue, what="queue", longest=MAX_QUEUE)
    given: dict[str, Any] = {name: getattr(options, name) for name in ("aliases", "retry", "unique", "isolated")}
    own_schedules: tuple[Any, ...] = options.schedules
    if not isinstance(given["aliases"], tuple):
        refuse("aliases", "a tuple of kinds")
    for alias in options.aliases:
        check_name(alias, what="kind", longest=MAX_KIND)
    if type(options.priority) is not int or not MIN_PRIORITY <= options.priority <= MAX_PRIORITY:
        refuse("priority", f"a whole number from {MIN_PRIORITY} to {MAX_PRIORITY}")
    if options.timeout is not None and (not isinstance(options.timeout, timedelta) or options.timeout <= timedelta(0)):
        refuse("timeout", "a timedelta above zero, or None")
    if not isinstance(given["retry"], Retry):
        refuse("retry", "a Retry(…)")
    if type(options.version) is not int or options.version < 1:
        refuse("version", "a whole number from 1")
    if not isinstance(given["isolated"], bool):
        refuse("isolated", "True or False")
    if options.memory is not None and (
        type(options.memory) is not int or not MIN_MEMORY <= options.memory <= MAX_MEMORY
    ):
        refuse("memory", 'an amount from 16M ("512M", or bytes), or None')
    if given["unique"] is not None and not isinstance(given["unique"], Unique):
        refuse("unique", "WHILE_LIVE, Within(timedelta) or FOREVER")
    limits: Any = options.limits
    if not isinstance(limits, tuple) or not all(isinstance(one, Limit | Rate) for one in limits):
        refuse("limits", "a Limit(…), a Rate(…), or a list of them")
    redact: Any = options.redact
    if not isinstance(redact, frozenset) or not all(isinstance(name, str) for name in redact):
        refuse("redact", "a set of names of fields")
    level: Any = options.capture_logs
    if level is not None and type(level) is not bool and str(level).upper() not in LEVELS:
        refuse("capture_logs", f"True, False or a level ({', '.join(LEVELS)})")
    breaker: Any = options.breaker
    if breaker is not None and not isinstance(breaker, Breaker):
        refuse("breaker", "a Breaker(…), or None")
    target: Any = options.target
    if target is not None and not isinstance(target, Target):
        refuse("target", "a Target(…), or None")
    fair_by: Any = options.fair_by
    if fair_by is not None and not isinstance(fair_by, str):
        refuse("fair_by", "the name of a field or of a method")
    if options.fair_weight is not None and not isinstance(options.fair_weight, int | str | Mapping):
        refuse("fair_weight", "a number, the name of a field or method, or a dictionary of numbers by tenant")
    if options.max_waiting is not None and (
        type(options.max_waiting) is not int or not 1 <= options.max_waiting <= MAX_WAITING
    ):
        refuse("max_waiting", f"a whole number from 1 to {MAX_WAITING:,}, or None")
    if options.on_full not in ON_FULL:
        refuse("on_full", "'raise', 'drop' or 'wait'")
    retain: Any = options.retain
    if retain is not None and (not isinstance(retain, timedelta) or not timedelta(0) < retain <= MAX_RETAIN):
        refuse("retain", "a timedelta above zero and up to a hundred years, or None")
    sealing: dict[str, Any] = {"seal": options.seal, "subject": options.subject}
    if not isinstance(sealing["seal"], bool):
        refuse("seal", "True or False")
    if sealing["subject"] is not None and not isinstance(sealing["subject"], str):
        refuse("subject", "the name of a field")
    for own in own_schedules:
        if not isinstance(own, Cron | Every | At):
            refuse("schedule", "a Cron(…), Every(…) or At(…), or a list of them")
        if own.job is not None:
            refuse("schedule", "schedules without job=, because the class is the job")
