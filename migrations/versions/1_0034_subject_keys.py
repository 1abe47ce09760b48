"""Keys of subjects, for sealed values that can be forgotten.

Revision: 1_0034, after 1_0033.
"""

import sqlalchemy as sa
from alembic import op

revision = "1_0034"
down_revision = "1_0033"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
IN_USE = "forgotten_at is null"


def upgrade() -> None:
    op.create_table(
        "job_subject_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("subject_hash", sa.String(length=32), nullable=False),
        sa.Column("sealed_key", sa.String(length=300), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("forgotten_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_subject_keys")),
    )
    op.create_index(
        "uq_job_subject_keys_in_use", "job_subject_keys", ["subject_hash"], unique=True,
        postgresql_where=sa.text(IN_USE), sqlite_where=sa.text(IN_USE),
    )  # fmt: skip


def downgrade() -> None:
    op.drop_index("uq_job_subject_keys_in_use", table_name="job_subject_keys")
    op.drop_table("job_subject_keys")
