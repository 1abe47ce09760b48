"""Alerts out: their receivers, and what was last sent to each about each problem.

Revision: 1_0031, after 1_0030.
"""

import sqlalchemy as sa
from alembic import op

revision = "1_0031"
down_revision = "1_0030"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    is_sqlite = op.get_context().dialect.name == "sqlite"
    op.create_table(
        "alert_routes",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("target", sa.String(length=2000), nullable=True),
        sa.Column("target_env", sa.String(length=100), nullable=True),
        sa.Column("secret_env", sa.String(length=100), nullable=True),
        sa.Column("topics", sa.Text() if is_sqlite else sa.JSON(), nullable=False),
        sa.Column("group_seconds", sa.Integer(), nullable=False),
        sa.Column("added_by", sa.String(length=200), nullable=False),
        sa.Column("added_at", MOMENT, nullable=False),
        sa.Column("disabled_at", MOMENT, nullable=True),
        sa.Column("disabled_why", sa.String(length=500), nullable=True),
        sa.Column("removed_at", MOMENT, nullable=True),
        sa.CheckConstraint("kind in ('email', 'slack', 'webhook')", name=op.f("ck_alert_routes_kind")),
        sa.CheckConstraint("(target is null) <> (target_env is null)", name=op.f("ck_alert_routes_target_once")),
        sa.CheckConstraint("group_seconds >= 0", name=op.f("ck_alert_routes_group_seconds")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_alert_routes")),
    )
    op.create_table(
        "alert_states",
        sa.Column("route", sa.String(length=100), nullable=False),
        sa.Column("fingerprint", sa.String(length=32), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=300), nullable=True),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("is_firing", sa.Boolean(), nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("sent_at", MOMENT, nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("route", "fingerprint", name=op.f("pk_alert_states")),
    )


def downgrade() -> None:
    op.drop_table("alert_states")
    op.drop_table("alert_routes")
