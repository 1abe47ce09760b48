"""Access: users, sessions, refresh tokens, machine tokens, sign-in attempts, idempotent requests.

Revision: 1_0008, after 1_0007.
"""

import sqlalchemy as sa
from alembic import op

revision = "1_0008"
down_revision = "1_0007"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(sa.Text(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
ROLES = "role in ('admin', 'operator', 'viewer')"


def upgrade() -> None:
    op.create_table(
        "operator_users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.Column("password_set_at", MOMENT, nullable=False),
        sa.Column("disabled_at", MOMENT, nullable=True),
        sa.CheckConstraint(ROLES, name=op.f("ck_operator_users_role")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operator_users")),
    )
    op.create_index("uq_operator_users_name", "operator_users", ["name"], unique=True)
    op.create_table(
        "operator_sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("revoked_at", MOMENT, nullable=True),
        sa.Column("address", sa.String(length=64), nullable=True),
        sa.CheckConstraint("kind in ('api', 'link', 'page')", name=op.f("ck_operator_sessions_kind")),
        sa.CheckConstraint(ROLES, name=op.f("ck_operator_sessions_role")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operator_sessions")),
    )
    op.create_index("uq_operator_sessions_secret", "operator_sessions", ["secret_hash"], unique=True)
    op.create_index("ix_operator_sessions_user", "operator_sessions", ["user_id"])
    op.create_table(
        "operator_refreshes",
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("used_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("secret_hash", name=op.f("pk_operator_refreshes")),
    )
    op.create_index("ix_operator_refreshes_session", "operator_refreshes", ["session_id"])
    op.create_table(
        "operator_tokens",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("permissions", JSON, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("revoked_at", MOMENT, nullable=True),
        sa.Column("used_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operator_tokens")),
    )
    op.create_index("uq_operator_tokens_secret", "operator_tokens", ["secret_hash"], unique=True)
    op.create_table(
        "operator_limits",
        sa.Column("key", sa.String(length=100), nullable=False),
        sa.Column("moments", JSON, nullable=False),
        sa.Column("touched_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_operator_limits")),
    )
    op.create_index("ix_operator_limits_touched", "operator_limits", ["touched_at"])
    op.create_table(
        "operator_requests",
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("key", sa.String(length=100), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("actor", "key", name=op.f("pk_operator_requests")),
    )
    op.create_index("ix_operator_requests_created", "operator_requests", ["created_at"])


def downgrade() -> None:
    for name in ("requests", "limits", "tokens", "refreshes", "sessions", "users"):
        op.drop_table(f"operator_{name}")
