"""Runs and attempts as models that only read: for the admin pages, and for queries of an application.

The ledger's own migrations make the tables, so Django must not: the models are unmanaged. Save or delete nothing
through them; the ledger's functions do that.
"""

from __future__ import annotations

from django.db import models


class Run(models.Model):
    """A run: one enqueued call of a task, a job or an actor."""

    id = models.UUIDField(primary_key=True)
    kind = models.CharField(max_length=200)
    queue = models.CharField(max_length=100)
    priority = models.SmallIntegerField()
    state = models.CharField(max_length=10)
    cause = models.CharField(max_length=20, null=True)
    attempt = models.IntegerField()
    max_attempts = models.IntegerField()
    key = models.CharField(max_length=255, null=True)
    worker = models.CharField(max_length=200, null=True)
    hold = models.CharField(max_length=8, null=True)
    held_on = models.CharField(max_length=300, null=True)
    error_type = models.CharField(max_length=200, null=True)
    error_message = models.TextField(null=True)
    correlation_id = models.CharField(max_length=100, null=True)
    enqueued_by = models.CharField(max_length=200, null=True)
    created_at = models.DateTimeField()
    run_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    state_at = models.DateTimeField()
    deleted_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "job_runs"
        default_permissions = ("view",)
        permissions = (
            ("view_arguments", "Can see arguments, results and errors of runs"),
            ("view_sealed", "Can open sealed values of runs"),
            ("change_sealed", "Can seal again and forget sealed values"),
            ("enqueue_run", "Can enqueue runs"),
            ("replay_run", "Can replay runs"),
            ("cancel_run", "Can cancel runs"),
            ("signal_run", "Can send signals to runs"),
            ("purge_run", "Can purge runs"),
            ("erase_run", "Can erase the data of runs"),
            ("change_queues", "Can pause queues, kinds and limits"),
            ("change_workers", "Can stop and restart workers"),
            ("change_schedules", "Can change schedules"),
            ("view_audit", "Can see who did what"),
            ("change_users", "Can manage the ledger's own users and tokens"),
        )

    def __str__(self) -> str:
        return f"{self.kind} …{str(self.id)[-8:]}"
