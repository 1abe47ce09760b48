"""Signals, callback URLs, and the steps and attempts of runs that wait.

The CHECKs only get wider, so no row is read.

Revision: 1_0017, after 1_0016.
"""

import sqlalchemy as sa
from alembic import op

revision = "1_0017"
down_revision = "1_0016"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(sa.Text(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
OUTCOMES = (
    "outcome in ('abandoned', 'cancelled', 'crashed', 'failed', 'gave_up', 'out_of_memory', 'released', 'snoozed', "
    "'succeeded', 'timed_out')"
)
MORE_OUTCOMES = OUTCOMES.replace("'succeeded', ", "'succeeded', 'suspended', ")
FORMS = "form in ('cursor', 'effect')"
MORE_FORMS = "form in ('cursor', 'effect', 'sleep', 'wait')"


def upgrade() -> None:
    op.create_table(
        "job_signals",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("payload", JSON, nullable=True),
        sa.Column("sent_at", MOMENT, nullable=False),
        sa.Column("sent_by", sa.String(length=200), nullable=True),
        sa.PrimaryKeyConstraint("run_id", "name", name=op.f("pk_job_signals")),
    )
    op.create_table(
        "job_callbacks",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("used_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_job_callbacks")),
    )
    op.create_index("ix_job_callbacks_run", "job_callbacks", ["run_id"])
    _replace("job_attempts", "outcome", OUTCOMES, MORE_OUTCOMES)
    _replace("job_steps", "form", FORMS, MORE_FORMS)


def downgrade() -> None:
    op.execute(
        "update job_runs set hold = null, held_on = null, run_at = held_at, held_at = null "
        "where state = 'queued' and (held_on like 'signal:%' or held_on like 'sleep:%')"
    )
    op.execute("update job_attempts set outcome = 'snoozed' where outcome = 'suspended'")
    op.execute("update job_attempts set refused_outcome = 'snoozed' where refused_outcome = 'suspended'")
    op.execute("delete from job_steps where form in ('sleep', 'wait')")
    _replace("job_steps", "form", MORE_FORMS, FORMS)
    _replace("job_attempts", "outcome", MORE_OUTCOMES, OUTCOMES)
    op.drop_index("ix_job_callbacks_run", table_name="job_callbacks")
    op.drop_table("job_callbacks")
    op.drop_table("job_signals")


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
