"""The ledger: runs, attempts, queues and workers.

Revision: 1_0001, the first.
"""

import sqlalchemy as sa
from alembic import op

revision = "1_0001"
down_revision = None
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "job_attempts",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("token", sa.Uuid(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("worker", sa.String(length=200), nullable=True),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("finished_at", MOMENT, nullable=False),
        sa.Column("retry_at", MOMENT, nullable=True),
        sa.Column("error_type", sa.String(length=200), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("traceback", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.String(length=16), nullable=True),
        sa.Column("refused_at", MOMENT, nullable=True),
        sa.Column("refused_outcome", sa.String(length=16), nullable=True),
        sa.CheckConstraint(
            "outcome in ('abandoned', 'cancelled', 'crashed', 'failed', 'gave_up', 'out_of_memory', "
            "'released', 'snoozed', 'succeeded', 'timed_out')",
            name=op.f("ck_job_attempts_outcome"),
        ),
        sa.CheckConstraint(
            "(refused_at is null) = (refused_outcome is null)", name=op.f("ck_job_attempts_refusal_whole")
        ),
        sa.CheckConstraint("attempt > 0", name=op.f("ck_job_attempts_attempt_from_one")),
        sa.PrimaryKeyConstraint("run_id", "attempt", name=op.f("pk_job_attempts")),
    )
    op.create_table(
        "job_queues",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("paused_at", MOMENT, nullable=True),
        sa.Column("paused_until", MOMENT, nullable=True),
        sa.Column("paused_by", sa.String(length=200), nullable=True),
        sa.Column("pause_reason", sa.String(length=500), nullable=True),
        sa.Column("latency_target_seconds", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_job_queues")),
    )
    op.create_table(
        "job_runs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=200), nullable=False),
        sa.Column("queue", sa.String(length=100), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("arguments", JSON, nullable=False),
        sa.Column("arguments_version", sa.Integer(), nullable=False),
        sa.Column("arguments_hash", sa.String(length=32), nullable=True),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("cause", sa.String(length=20), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("charged", sa.Integer(), nullable=False),
        sa.Column("crashes", sa.Integer(), nullable=False),
        sa.Column("abandonments", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("run_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=True),
        sa.Column("key", sa.String(length=255), nullable=True),
        sa.Column("token", sa.Uuid(), nullable=True),
        sa.Column("lease_until", MOMENT, nullable=True),
        sa.Column("worker", sa.String(length=200), nullable=True),
        sa.Column("cancel_requested_at", MOMENT, nullable=True),
        sa.Column("cancel_reason", sa.String(length=500), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("started_at", MOMENT, nullable=True),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.Column("state_at", MOMENT, nullable=False),
        sa.Column("result", JSON, nullable=True),
        sa.Column("progress", JSON, nullable=True),
        sa.Column("error_type", sa.String(length=200), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.String(length=16), nullable=True),
        sa.Column("tags", JSON, nullable=True),
        sa.Column("correlation_id", sa.String(length=100), nullable=True),
        sa.Column("trace_context", sa.String(length=200), nullable=True),
        sa.Column("enqueued_by", sa.String(length=200), nullable=True),
        sa.Column("parent_id", sa.Uuid(), nullable=True),
        sa.Column("root_id", sa.Uuid(), nullable=True),
        sa.Column("replayed_from", sa.Uuid(), nullable=True),
        sa.Column("scheduled_for", MOMENT, nullable=True),
        sa.Column("deleted_at", MOMENT, nullable=True),
        sa.CheckConstraint("(state = 'dead') = (cause is not null)", name=op.f("ck_job_runs_cause_exactly_when_dead")),
        sa.CheckConstraint(
            "(state = 'running') = (lease_until is not null)",
            name=op.f("ck_job_runs_leased_exactly_when_running"),
        ),
        sa.CheckConstraint(
            "(state = 'running') = (token is not null)", name=op.f("ck_job_runs_token_exactly_when_running")
        ),
        sa.CheckConstraint(
            "(state in ('cancelled', 'dead', 'succeeded')) = (finished_at is not null)",
            name=op.f("ck_job_runs_finished_exactly_when_final"),
        ),
        sa.CheckConstraint(
            "cause in ('bad_arguments', 'exhausted', 'expired', 'gave_up', 'poison', 'unknown_effect', 'unknown_kind')",
            name=op.f("ck_job_runs_cause"),
        ),
        sa.CheckConstraint("state <> 'running' or attempt > 0", name=op.f("ck_job_runs_running_counts_an_attempt")),
        sa.CheckConstraint(
            "state in ('cancelled', 'dead', 'queued', 'running', 'succeeded')", name=op.f("ck_job_runs_state")
        ),
        sa.CheckConstraint(
            "charged >= 0 and charged <= attempt and max_attempts > 0",
            name=op.f("ck_job_runs_charged_within_attempts"),
        ),
        sa.CheckConstraint("priority between -1000 and 1000", name=op.f("ck_job_runs_priority_range")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_runs")),
    )
    op.create_index(
        "ix_job_runs_expiring",
        "job_runs",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("state = 'queued' and expires_at is not null"),
        sqlite_where=sa.text("state = 'queued' and expires_at is not null"),
    )
    op.create_index(
        "ix_job_runs_leased",
        "job_runs",
        ["lease_until", "worker"],
        unique=False,
        postgresql_where=sa.text("state = 'running'"),
        sqlite_where=sa.text("state = 'running'"),
    )
    op.create_index(
        "ix_job_runs_ready",
        "job_runs",
        ["queue", "priority", "run_at", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'queued'"),
        sqlite_where=sa.text("state = 'queued'"),
    )
    op.create_table(
        "job_workers",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("host", sa.String(length=200), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(length=40), nullable=False),
        sa.Column("queues", JSON, nullable=False),
        sa.Column("kinds", JSON, nullable=False),
        sa.Column("threads", sa.Integer(), nullable=False),
        sa.Column("busy", sa.Integer(), nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.Column("stopped_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_job_workers")),
    )
    op.create_index("ix_job_workers_seen", "job_workers", ["seen_at"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_job_workers_seen", table_name="job_workers")
    op.drop_table("job_workers")
    op.drop_index("ix_job_runs_ready", table_name="job_runs")
    op.drop_index("ix_job_runs_leased", table_name="job_runs")
    op.drop_index("ix_job_runs_expiring", table_name="job_runs")
    op.drop_table("job_runs")
    op.drop_table("job_queues")
    op.drop_table("job_attempts")
