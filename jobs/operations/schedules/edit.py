"""Creates and changes schedules from plain values, as in options and JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from jobs.app import App
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.schedules.actions import create_schedule, edit_schedule
from jobs.operations.schedules.rows import argument_columns, new_columns, place_columns
from jobs.operations.schedules.views import ScheduleView, show_schedule
from jobs.scheduling.preview import PlannedSlot, preview
from jobs.scheduling.serialize import from_data
from jobs.scheduling.slots import just_before

FAR = timedelta(days=3653)
"""Default range of a preview: ten years. Source: decision."""


def far_from(since: datetime) -> datetime:
    """The default end of a preview: ``FAR`` later, or the end of the calendar."""
    try:
        return since + FAR
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def new_schedule(
    app: App,
    name: str,
    kind: str,
    arguments: Mapping[str, Any],
    when: Mapping[str, Any],
    *,
    queue: str | None = None,
    priority: int | None = None,
    by: Operator,
    reason: str | None = None,
) -> ScheduleView:
    """Add a schedule; ``when`` has the keys of ``jobs.scheduling.serialize``.

    Raises:
        NotFound: this process does not know the kind.
        ArgumentsRefused, DefinitionError, Conflict: as ``create_schedule``.
    """
    by.need(Permission.SCHEDULES_WRITE)
    schedule = from_data({**when, "name": name})
    columns = new_columns(app, kind, arguments, schedule, name, queue=queue, priority=priority)
    return create_schedule(app, columns, schedule, by=by, reason=reason)


def change_schedule(
    app: App,
    name: str,
    when: Mapping[str, Any],
    *,
    arguments: Mapping[str, Any] | None = None,
    queue: str | None = None,
    priority: int | None = None,
    by: Operator,
    reason: str | None = None,
) -> ScheduleView:
    """Change the given properties of an operator's schedule; ``arguments`` replaces all.

    Raises the same as ``edit_schedule``.
    """
    by.need(Permission.SCHEDULES_WRITE)
    columns = place_columns(queue, priority)
    if arguments is not None:
        view, _, _ = show_schedule(app, Operator(by.name), name, limit=0)
        columns |= argument_columns(app, view.record.kind, arguments)
    return edit_schedule(app, name, when, columns=columns, by=by, reason=reason)


def preview_data(
    app: App,
    operator: Operator,
    when: Mapping[str, Any],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int,
) -> list[PlannedSlot]:
    """When an unsaved schedule would fire, in ``since <= slot <= until``; None starts now."""
    operator.need(Permission.RUNS_READ)
    schedule = from_data(when)
    after = app.clock.now() if since is None else just_before(since)
    return preview(schedule, after=after, until=until or far_from(after), limit=limit)
