"""Enqueue of many runs by an operator, in one transaction with one audit entry.

A kind that this process does not know is taken from what workers have published of it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from jobs.app import App
from jobs.clock import new_run_id
from jobs.definition import registry
from jobs.definition.arguments import check_json, refuse_packed
from jobs.definition.enqueue_options import admission, lapse, priority_of, queue_name, when
from jobs.definition.equality import canonical
from jobs.definition.published import PublishedKind, check_published
from jobs.definition.tags import write_tags
from jobs.definition.unique import Unique
from jobs.enqueue.room import AT_ONCE, make_room, may_be_limited
from jobs.enqueue.unserved_warning import warn_if_unserved
from jobs.enqueue.write_path import Enqueued, announce_runs, carrier, write_runs
from jobs.errors import ArgumentsRefused, EnqueueRefused, JobsError
from jobs.ledger.admission.keys import PLAIN_HASH
from jobs.ledger.published_kinds import find_published
from jobs.ledger.records import FollowUp, NewRun
from jobs.operations.audit.entry import check_reason, record_entry
from jobs.operations.audit.operator import Operator, Permission
from jobs.runtime.context import correlation_id

MAX_BULK = 1000
"""Most runs of one call. Source: decision."""


@dataclass(frozen=True, slots=True)
class RunCall:
    """A run to record: ``options`` are those of ``Job.enqueue``; the others are its follow-ups."""

    kind: str
    arguments: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    on_success: Sequence[RunCall] = ()
    on_dead: Sequence[RunCall] = ()
    on_cancelled: Sequence[RunCall] = ()


def enqueue_bulk(
    app: App, operator: Operator, calls: Sequence[RunCall], *, reason: str | None = None
) -> list[Enqueued]:
    """Record a run for each of ``calls``, all or none, in their order.

    Raises:
        NotFound: neither this process nor any worker knows a kind.
        ArgumentsRefused: arguments do not fit; ``field`` begins with the place of the run.
        EnqueueRefused: there are too many, or an option is invalid.
        KeyConflict, KeyBusy, QueueFull: as ``Job.enqueue``.
    """
    operator.need(Permission.RUNS_ENQUEUE)
    check_reason(app, reason)
    if not 1 <= len(calls) <= MAX_BULK:
        raise EnqueueRefused(f"A bulk has 1 to {MAX_BULK:,} runs, got {len(calls):,}.", hint="Send several.")
    published = _published(app, calls)
    name = operator.name[:200]
    runs = [replace(_new_run(app, call, published, place), enqueued_by=name) for place, call in enumerate(calls)]
    if may_be_limited(app):
        make_room(app, runs, AT_ONCE)
    with app.database.write() as connection:
        admitted = write_runs(connection, carrier(app)(runs))
        app.database.send_notify(connection)
        kinds = Counter(run.kind for run in runs)
        record_entry(
            connection, "enqueue", operator, target=f"{len(runs)} runs", what="bulk", reason=reason,
            after={"kinds": dict(kinds.most_common(20))}, count=sum(one.created for one in admitted),
        )  # fmt: skip
    announce_runs(app, [one.run for one in admitted])
    warn_if_unserved(app, {run.queue for run in runs})
    return [Enqueued(one.run.id, one.created) for one in admitted]


def _published(app: App, calls: Sequence[RunCall]) -> dict[str, PublishedKind]:
    kinds = {one.kind for call in calls for one in (call, *call.on_success, *call.on_dead, *call.on_cancelled)}
    unknown = sorted(kind for kind in kinds if registry.find(kind) is None)
    if not unknown:
        return {}
    with app.database.read() as connection:
        return find_published(connection, unknown)


def _new_run(app: App, call: RunCall, published: Mapping[str, PublishedKind], place: int) -> NewRun:
    then = {"succeeded": call.on_success, "dead": call.on_dead, "cancelled": call.on_cancelled}
    try:
        followups = tuple(
            FollowUp(state, _plain_run(app, one, published)) for state, many in then.items() for one in many
        )
        return replace(_plain_run(app, call, published), followups=followups)
    except ArgumentsRefused as error:
        where = f"runs.{place}.arguments" + (f".{error.field}" if error.field else "")
        raise ArgumentsRefused(f"Run {place}: {error.message}", hint=error.hint, field=where) from None
    except JobsError as error:
        error.message = f"Run {place}: {error.message}"
        raise


def _plain_run(app: App, call: RunCall, published: Mapping[str, PublishedKind]) -> NewRun:
    known = published.get(call.kind)
    if known is None:
        run: NewRun = registry.get(call.kind)(**call.arguments).new_run(app, **call.options)
        return run
    return _unimported(app, known, call.arguments, **call.options)


def _unimported(
    app: App,
    known: PublishedKind,
    arguments: Mapping[str, Any],
    *,
    queue: str | None = None,
    priority: int | None = None,
    delay: Any = None,
    at: Any = None,
    key: str | None = None,
    on_conflict: str = "keep",
    expires: Any = None,
    tags: Sequence[str] = (),
) -> NewRun:
    """The row that the class would make, from what a worker published of it."""
    check_published(known, arguments)
    text = json.dumps(arguments, ensure_ascii=False, separators=(",", ":"))
    check_json(text, what=f"Arguments of {known.kind}", max_bytes=app.settings.max_argument_bytes)
    refuse_packed(text, known.kind)
    held = timedelta(seconds=known.hold_seconds) if known.hold_seconds is not None else None
    unique = Unique(held) if known.is_unique else None
    admitted = admission(known.kind, key, unique, on_conflict, canonical(arguments, text) if key is not None else "")
    if admitted:
        # Without the class the hash is not comparable with others, so the arguments themselves are compared.
        admitted["arguments_hash"] = PLAIN_HASH + admitted["arguments_hash"][len(PLAIN_HASH) :]
    return NewRun(
        id=new_run_id(),
        kind=known.kind,
        queue=known.queue if queue is None else queue_name(queue),
        priority=known.priority if priority is None else priority_of(priority),
        arguments=text,
        arguments_version=known.arguments_version,
        max_attempts=known.max_attempts,
        **when(delay, at),
        **lapse(expires),
        **admitted,
        tags=write_tags(tags),
        correlation_id=correlation_id.get(),
    )
