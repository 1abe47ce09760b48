"""Read-only admin pages of runs, with replay, cancel and purge as actions by Django's permissions.

Each action is audited as if the person had used the ledger's own pages: their user name is in ``jobs audit list``.
"""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

from jobs.django import ledger
from jobs.django.models import Run
from jobs.django.permissions import APP, operator_of
from jobs.errors import JobsError
from jobs.ledger.queries.selectors import Selector
from jobs.operations.bulk import action
from jobs.operations.bulk.cancel import CancelAction
from jobs.operations.bulk.purge import PurgeAction
from jobs.operations.bulk.replay import ReplayAction
from jobs.operations.runs.inspect import find_run

MOST_COUNTED = 10_000
"""A list is counted up to here: counting millions of runs would take longer than reading a page of them."""
REASON = "by the admin pages of Django"


class LimitedPaginator(Paginator):
    """Counts no more runs than anybody would page through."""

    @cached_property
    def count(self) -> int:
        return int(self.object_list[:MOST_COUNTED].count())


@admin.register(Run)
class RunAdmin(admin.ModelAdmin):
    """Lists runs, newest first, and shows one with its attempts."""

    list_display = ("short_id", "kind", "queue", "state", "cause", "attempt", "created_at", "finished_at")
    list_filter = ("state", "queue")
    search_fields = ("=id", "=key", "=kind", "=correlation_id")
    ordering = ("-id",)
    list_per_page = 50
    show_full_result_count = False
    paginator = LimitedPaginator
    actions = ("replay_runs", "cancel_runs", "purge_runs")
    fields = (
        *("id", "kind", "queue", "priority", "state", "cause", "attempt", "max_attempts", "key", "worker"),
        *("hold", "held_on", "created_at", "due", "started_at", "finished_at", "correlation_id", "enqueued_by"),
        *("arguments", "result", "error", "attempts"),
    )
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        found: QuerySet[Run] = super().get_queryset(request).filter(deleted_at__isnull=True)
        return found

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(f"{APP}.replay_run"))

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(f"{APP}.cancel_run"))

    def has_purge_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(f"{APP}.purge_run"))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        found = super().get_object(request, object_id, from_field)
        if found is not None:
            found.seen_by = operator_of(request.user)
        return found

    @admin.display(description="run", ordering="id")
    def short_id(self, run: Run) -> str:
        return f"…{str(run.id)[-8:]}"

    @admin.display(description="due")
    def due(self, run: Run) -> Any:
        """When it is or was due; a run on hold has kept that moment apart."""
        return run.due_at if run.hold else run.run_at

    @admin.display(description="arguments")
    def arguments(self, run: Run) -> str:
        return _text(self._record(run)[0].arguments)

    @admin.display(description="result")
    def result(self, run: Run) -> str:
        return _text(self._record(run)[0].result)

    @admin.display(description="error")
    def error(self, run: Run) -> str:
        record = self._record(run)[0]
        return f"{record.error_type}: {record.error_message}" if record.error_type else "-"

    @admin.display(description="attempts")
    def attempts(self, run: Run) -> str:
        lines = [
            f"{one.attempt}. {one.outcome} {one.started_at:%Y-%m-%d %H:%M:%S} UTC, {one.worker or '-'}"
            + (f", {one.error_type}: {one.error_message}" if one.error_type else "")
            for one in self._record(run)[1]
        ]
        return "\n".join(lines) or "-"

    def _record(self, run: Any) -> Any:
        """The run as the ledger shows it to this person: without permission, arguments and errors are hidden."""
        if not hasattr(run, "record"):
            run.record = find_run(ledger.current().app, run.seen_by, str(run.id))
        return run.record

    @admin.action(description="Replay the selected runs", permissions=["replay"])
    def replay_runs(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        self._carry_out(request, queryset, ReplayAction(app=ledger.current().app, operator=operator_of(request.user)))

    @admin.action(description="Cancel the selected runs", permissions=["cancel"])
    def cancel_runs(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        self._carry_out(request, queryset, CancelAction())

    @admin.action(description="Purge the selected runs", permissions=["purge"])
    def purge_runs(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        self._carry_out(request, queryset, PurgeAction())

    def _carry_out(self, request: HttpRequest, queryset: QuerySet[Run], act: Any) -> None:
        app, operator = ledger.current().app, operator_of(request.user)
        ids = tuple(queryset.values_list("id", flat=True)[:MOST_COUNTED])
        try:
            planned = action.plan(app, operator, act, Selector(ids=ids))
            report = action.carry_out(app, operator, act, planned, reason=REASON)
        except JobsError as error:
            self.message_user(request, str(error), messages.ERROR)
            return
        skipped = len(ids) - report.done
        self.message_user(request, f"{act.verb}: {report.done} done, {skipped} skipped.",
                          messages.SUCCESS if report.done else messages.WARNING)  # fmt: skip


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False, default=str)
