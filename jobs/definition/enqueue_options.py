"""Checks the options of an enqueue call; each refusal names the argument."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from jobs.definition.options import MAX_QUEUE, Options, check_name
from jobs.definition.tags import write_tags
from jobs.definition.unique import WHILE_LIVE, Unique
from jobs.errors import DefinitionError, EnqueueRefused
from jobs.formats.shown import shown
from jobs.priority import MAX_PRIORITY, MIN_PRIORITY
from jobs.states import FAR

MAX_KEY = 255
MAX_PARENTS = 1000
"""Runs that one run starts after. Source: decision; each end of one reads the states of all."""
MAX_WAIT = timedelta(days=36525)
"""A hundred years: a later moment is a mistake, and datetime ends with the year 9999. Source: decision."""


def chosen(declared: Options, options: Mapping[str, Any], key: str | None, canonical: str) -> dict[str, Any]:
    """What the options of a call, or a key, say about its run, without follow-ups. Most calls have neither.

    Args:
        canonical: as for ``admission``.
    """
    queue, priority, after = options.get("queue"), options.get("priority"), options.get("after", ())
    on_conflict, on_parent_dead = options.get("on_conflict", "keep"), options.get("on_parent_dead", "cancel")
    return {
        "queue": declared.queue if queue is None else queue_name(queue),
        "priority": declared.priority if priority is None else priority_of(priority),
        **when(options.get("delay"), options.get("at")),
        **lapse(options.get("expires")),
        **admission(declared.kind, key, declared.unique, on_conflict, canonical),
        **(parent_ids(after, on_parent_dead, on_conflict) if after != () else {}),
        "tags": write_tags(options.get("tags", ())),
    }


def admission(kind: str, key: str | None, unique: Unique | None, on_conflict: str, canonical: str) -> dict[str, Any]:
    """How a run is admitted only once: its key, how long the key is held, and what happens when a run holds it.

    Args:
        canonical: the canonical text of the arguments (``jobs.definition.equality``); ignored without a key.
    """
    if on_conflict not in ("keep", "replace"):
        raise EnqueueRefused(f"on_conflict= is 'keep' or 'replace', got {shown(on_conflict)}.")
    if key is None:
        if unique is None and on_conflict == "keep":
            return {}
        why = f"{kind} is unique" if unique is not None else "on_conflict='replace' was given"
        raise EnqueueRefused(f"{why}, but there is no key.", hint="Define idempotency_key(), or give key=.")
    if not isinstance(key, str) or not key or len(key) > MAX_KEY or not key.isprintable():
        raise EnqueueRefused(f"{shown(key)} cannot be a key.", hint=f"Use printable text of 1 to {MAX_KEY} characters.")
    return {
        "key": key,
        "hold_seconds": (unique or WHILE_LIVE).hold_seconds,
        "arguments_hash": hashlib.blake2b(canonical.encode(), digest_size=16).hexdigest(),
        "on_conflict": on_conflict,
    }


def queue_name(queue: str) -> str:
    """A queue's name, if it is valid."""
    try:
        return check_name(queue, what="queue", longest=MAX_QUEUE)
    except DefinitionError as error:
        raise EnqueueRefused(error.message, hint=error.hint) from None


def priority_of(priority: int) -> int:
    """A priority, if it is in range."""
    if type(priority) is not int or not MIN_PRIORITY <= priority <= MAX_PRIORITY:
        raise EnqueueRefused(
            f"priority must be a whole number from {MIN_PRIORITY} to {MAX_PRIORITY}, got {shown(priority)}."
        )
    return priority


def when(delay: timedelta | None, at: datetime | None) -> dict[str, Any]:
    """When the run becomes due."""
    if delay is not None and at is not None:
        raise EnqueueRefused("delay= and at= exclude each other.", hint="Give one of them.")
    if at is not None:
        return {"run_at": _moment(at, "at")}
    if delay is None:
        return {}
    if not isinstance(delay, timedelta) or not timedelta(0) <= delay <= MAX_WAIT:
        raise EnqueueRefused(f"delay= takes a timedelta from zero to a hundred years, got {shown(delay)}.")
    return {"delay_seconds": delay.total_seconds()}


def lapse(expires: timedelta | datetime | None) -> dict[str, Any]:
    """The moment after which a run that has not started is dead as expired."""
    if expires is None:
        return {}
    if isinstance(expires, timedelta):
        if not timedelta(0) < expires <= MAX_WAIT:
            raise EnqueueRefused(
                f"expires= takes a timedelta above zero and up to a hundred years, got {shown(expires)}."
            )
        return {"expires_seconds": expires.total_seconds()}
    return {"expires_at": _moment(expires, "expires")}


def _moment(value: datetime, name: str) -> datetime:
    if not isinstance(value, datetime):
        raise EnqueueRefused(f"{name}= takes an aware datetime, got {shown(value)}.")
    if value.tzinfo is None or value.utcoffset() is None:
        raise EnqueueRefused(f"{name}= takes an aware datetime, but {shown(value)} has no time zone.", hint="Add one.")
    try:
        moment = value.astimezone(UTC)
        if moment < FAR:
            return moment
        raise OverflowError
    except OverflowError:
        raise EnqueueRefused(
            f"{name}= takes a moment that UTC has, but {shown(value)} is beyond the calendar.",
            hint="Use UTC.",
        ) from None


def parent_ids(after: Any, on_parent_dead: Any, on_conflict: str) -> dict[str, Any]:
    """The ids of the runs that a new one starts after: ``after`` holds ids, or what ``enqueue`` returned.

    Raises:
        EnqueueRefused: an item is no run, there are too many, or the options exclude each other.
    """
    if on_parent_dead not in ("cancel", "run", "hold"):
        raise EnqueueRefused(f"on_parent_dead= is 'cancel', 'run' or 'hold', got {shown(on_parent_dead)}.")
    if isinstance(after, str | UUID) or not isinstance(after, Iterable):
        raise EnqueueRefused(f"after= takes a list of runs, got {shown(after)}.", hint="after=[first, second]")
    found: dict[UUID, None] = {}
    for one in after:
        given = getattr(one, "id", one)
        try:
            found[given if isinstance(given, UUID) else UUID(given)] = None
        except (ValueError, TypeError, AttributeError):
            raise EnqueueRefused(
                f"after= takes runs that were enqueued, got {shown(one)}.",
                hint="Enqueue them first: after=[Load(day=day).enqueue()].",
            ) from None
        if len(found) > MAX_PARENTS:
            raise EnqueueRefused(
                f"after= takes at most {MAX_PARENTS:,} runs.", hint="Put them into a batch: jobs.batch(…, on_end=[…])."
            )
    if found and on_conflict == "replace":
        # The run that holds the key might be one of its own parents.
        raise EnqueueRefused("after= does not go with on_conflict='replace'.", hint="Cancel the run that has the key.")
    return {"after": tuple(found), "on_parent_dead": on_parent_dead}
