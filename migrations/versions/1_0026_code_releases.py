"""The releases of the application's code that worker processes run, kept as long as the attempts that they performed.

Revision: 1_0026, after 1_0025.
"""

import sqlalchemy as sa
from alembic import op

revision = "1_0026"
down_revision = "1_0025"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(sa.Text(), "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "job_code_releases",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("release", sa.String(length=100), nullable=True),
        sa.Column("kinds", JSON, nullable=False),
        sa.Column("first_seen_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_code_releases")),
    )
    op.create_table(
        "job_worker_releases",
        sa.Column("worker", sa.String(length=200), nullable=False),
        sa.Column("release_id", sa.String(length=32), nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("worker", name=op.f("pk_job_worker_releases")),
    )
    op.create_index("ix_job_worker_releases_started", "job_worker_releases", ["started_at"])
    op.create_index("ix_job_worker_releases_release", "job_worker_releases", ["release_id"])


def downgrade() -> None:
    op.drop_table("job_worker_releases")
    op.drop_table("job_code_releases")
