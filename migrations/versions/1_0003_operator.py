"""Operators' actions, their effect on each run, and the indexes of lists and selectors."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "1_0003"
down_revision = "1_0002"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(sa.Text(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
ENDED = "finished_at is not null"


def upgrade() -> None:
    _index("ix_job_runs_ended", ["state", "queue", "kind", "state_at", "id"], ENDED)
    _index("ix_job_runs_fingerprint", ["fingerprint", "state_at", "id"], "fingerprint is not null")
    _index("ix_job_runs_key", ["key"], "key is not null")
    _index("ix_job_runs_parent", ["parent_id"], "parent_id is not null")
    is_postgresql = op.get_context().dialect.name == "postgresql"
    _index("ix_job_runs_tail", [sa.text('"right"(id::text, 6)' if is_postgresql else "substr(id, -6)")], ENDED)
    op.create_table(
        "operator_actions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("verb", sa.String(length=20), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("selector", JSON, nullable=True),
        sa.Column("options", JSON, nullable=True),
        sa.Column("reason", sa.String(length=500), nullable=True),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.Column("expected", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("skipped", sa.Integer(), nullable=False),
        sa.Column("before", JSON, nullable=True),
        sa.Column("after", JSON, nullable=True),
        sa.Column("undoes", sa.Uuid(), nullable=True),
        sa.Column("undone_by", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "state in ('failed', 'finished', 'interrupted', 'running')", name=op.f("ck_operator_actions_state")
        ),
        sa.CheckConstraint(
            "(state = 'running') = (finished_at is null)", name=op.f("ck_operator_actions_finished_exactly_when_over")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operator_actions")),
    )
    op.create_table(
        "operator_action_runs",
        sa.Column("action_id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("skipped", sa.String(length=200), nullable=True),
        sa.Column("new_run_id", sa.Uuid(), nullable=True),
        sa.Column("before", JSON, nullable=True),
        sa.Column("after", JSON, nullable=True),
        sa.PrimaryKeyConstraint("action_id", "run_id", name=op.f("pk_operator_action_runs")),
    )
    op.create_table(
        "job_kinds",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("paused_at", MOMENT, nullable=True),
        sa.Column("paused_until", MOMENT, nullable=True),
        sa.Column("paused_by", sa.String(length=200), nullable=True),
        sa.Column("pause_reason", sa.String(length=500), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_job_kinds")),
    )
    op.add_column("job_workers", sa.Column("stop_requested_at", MOMENT, nullable=True))
    op.create_index("ix_operator_action_runs_run", "operator_action_runs", ["run_id"])


def downgrade() -> None:
    for name in ("tail", "parent", "key", "fingerprint", "ended"):
        op.drop_index(f"ix_job_runs_{name}", table_name="job_runs")
    op.drop_index("ix_operator_action_runs_run", table_name="operator_action_runs")
    op.drop_column("job_workers", "stop_requested_at")
    op.drop_table("job_kinds")
    op.drop_table("operator_action_runs")
    op.drop_table("operator_actions")


def _index(name: str, columns: list[object], where: str) -> None:
    op.build_index(name, "job_runs", columns, where=where)
