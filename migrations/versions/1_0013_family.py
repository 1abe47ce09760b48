"""Lineage of credentials: what made each, and until when a user is valid; idempotent requests by their permission.

The requests of a day are forgotten: their key gains a column, and they are kept for a day anyway.

Revision: 1_0013, after 1_0012.
"""

import sqlalchemy as sa
from alembic import op

revision = "1_0013"
down_revision = "1_0012"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.build_index("ix_operator_tokens_user", "operator_tokens", ["user_id"])
    op.add_column("operator_users", sa.Column("parent_id", sa.Uuid(), nullable=True))
    op.add_column("operator_users", sa.Column("expires_at", MOMENT, nullable=True))
    op.add_column("operator_sessions", sa.Column("parent_id", sa.Uuid(), nullable=True))
    op.add_column("operator_tokens", sa.Column("parent_id", sa.Uuid(), nullable=True))
    op.drop_table("operator_requests")
    _make_requests(sa.Column("scope", sa.String(length=16), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_table("operator_requests")
    _make_requests()
    op.drop_index("ix_operator_tokens_user", table_name="operator_tokens")
    for table, name in (
        ("operator_tokens", "parent_id"), ("operator_sessions", "parent_id"), ("operator_users", "expires_at"),
        ("operator_users", "parent_id"),
    ):  # fmt: skip
        op.drop_column(table, name)


def _make_requests(*scope: sa.Column) -> None:
    op.create_table(
        "operator_requests",
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("key", sa.String(length=100), nullable=False),
        *scope,
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("actor", "key", *(one.name for one in scope), name=op.f("pk_operator_requests")),
    )
    op.create_index("ix_operator_requests_created", "operator_requests", ["created_at"])
