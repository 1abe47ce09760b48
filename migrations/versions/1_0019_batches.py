"""Batches, the batch of each run, and the steps of runs that wait for children.

Revision: 1_0019, after 1_0018.
"""

import sqlalchemy as sa
from alembic import op

revision = "1_0019"
down_revision = "1_0018"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
FORMS = "form in ('cursor', 'effect', 'sleep', 'wait')"
MORE_FORMS = "form in ('cursor', 'effect', 'gather', 'sleep', 'wait')"
INDEXES = {
    "ix_job_batches_listed": ("id", "form = 'batch'"),
    "ix_job_batches_run": ("run_id", "run_id is not null"),
    "ix_job_batches_parent": ("parent_id", "parent_id is not null"),
    "ix_job_batches_ended": ("ended_at", None),
}


def upgrade() -> None:
    # The index needs the column. The steps before an index build are committed, so a second try finds what they made.
    is_postgresql = op.get_context().dialect.name == "postgresql"
    op.create_table(
        "job_batches",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("form", sa.String(length=8), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=True),
        sa.Column("parent_id", sa.Uuid(), nullable=True),
        sa.Column("depth", sa.SmallInteger(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("pending", sa.Integer(), nullable=False),
        sa.Column("dead", sa.Integer(), nullable=False),
        sa.Column("cancelled", sa.Integer(), nullable=False),
        sa.Column("has_callbacks", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("sealed_at", MOMENT, nullable=True),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column("cancelled_at", MOMENT, nullable=True),
        sa.Column("enqueued_by", sa.String(length=200), nullable=True),
        sa.Column("correlation_id", sa.String(length=100), nullable=True),
        sa.CheckConstraint("form in ('batch', 'gather')", name=op.f("ck_job_batches_form")),
        sa.CheckConstraint("pending >= 0 and pending <= total and generation > 0", name=op.f("ck_job_batches_counts")),
        sa.CheckConstraint(
            "ended_at is null or (pending = 0 and sealed_at is not null)",
            name=op.f("ck_job_batches_ended_when_none_is_left"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_batches")),
        if_not_exists=is_postgresql or None,
    )
    for name, (column, where) in INDEXES.items():
        chosen = {} if where is None else {"postgresql_where": sa.text(where), "sqlite_where": sa.text(where)}
        op.create_index(name, "job_batches", [column], if_not_exists=is_postgresql or None, **chosen)
    op.add_column(
        "job_followups",
        sa.Column("generation", sa.Integer(), server_default="1", nullable=False),
        if_not_exists=is_postgresql or None,
    )
    op.add_column("job_runs", sa.Column("batch_id", sa.Uuid(), nullable=True), if_not_exists=is_postgresql or None)
    _replace("job_steps", "form", FORMS, MORE_FORMS)
    op.build_index("ix_job_runs_batch", "job_runs", ["batch_id", "id"], where="batch_id is not null")


def downgrade() -> None:
    op.execute(
        "update job_runs set hold = null, held_on = null, run_at = held_at, held_at = null "
        "where state = 'queued' and held_on like 'children:%'"
    )
    op.execute("delete from job_steps where form = 'gather'")
    _replace("job_steps", "form", MORE_FORMS, FORMS)
    op.drop_index("ix_job_runs_batch", table_name="job_runs")
    op.drop_column("job_runs", "batch_id")
    op.drop_column("job_followups", "generation")
    for name in INDEXES:
        op.drop_index(name, table_name="job_batches")
    op.drop_table("job_batches")


def _replace(table: str, name: str, old: str, new: str) -> None:
    if op.get_context().dialect.name == "postgresql":
        op.drop_constraint(op.f(f"ck_{table}_{name}"), table, type_="check")
        # Existing rows are not checked, which would block every other connection.
        op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, sa.text(new), postgresql_not_valid=True)
        return
    # Changes a CHECK without copying the table, as https://sqlite.org/lang_altertable.html describes.
    op.execute("pragma writable_schema = on")
    op.execute(
        sa.text(
            "update sqlite_master set sql = replace(sql, :old, :new) where type = 'table' and name = :table"
        ).bindparams(old=old, new=new, table=table)
    )
    op.execute("pragma writable_schema = reset")
