"""The chain of the audit: a digest of each audit row, and its place in a chain of hashes.

Revision: 1_0024, after 1_0023.
"""

import sqlalchemy as sa
from alembic import op

revision = "1_0024"
down_revision = "1_0023"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
PARTS = "part in ('begun', 'ended', 'pruned', 'resumed', 'runs', 'start', 'undone')"
PENDING = "seq is null"
FIRST_LINK = {
    "postgresql": "insert into operator_audit_links (id, part, size, digest, written_at) "
    "select gen_random_uuid(), 'start', count(*), :digest, now() from operator_actions",
    "sqlite": "insert into operator_audit_links (id, part, size, digest, written_at) "
    "select lower(hex(randomblob(16))), 'start', count(*), :digest, "
    "strftime('%Y-%m-%d %H:%M:%f', 'now') || '000' from operator_actions",
}
HEAD = "insert into operator_audit_head (id, seq, hash) values (1, 0, :hash)"


def upgrade() -> None:
    dialect = op.get_context().dialect.name
    op.add_column("operator_action_runs", sa.Column("batch", sa.Integer(), nullable=True))
    op.create_table(
        "operator_audit_links",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("action_id", sa.Uuid(), nullable=True),
        sa.Column("part", sa.String(length=8), nullable=False),
        sa.Column("batch", sa.Integer(), nullable=True),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("row_digests", sa.Text(), nullable=True),
        sa.Column("written_at", MOMENT, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=True),
        sa.Column("hash", sa.String(length=64), nullable=True),
        sa.CheckConstraint(PARTS, name=op.f("ck_operator_audit_links_part")),
        sa.CheckConstraint("(seq is null) = (hash is null)", name=op.f("ck_operator_audit_links_place_whole")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operator_audit_links")),
    )
    op.create_index("uq_operator_audit_links_seq", "operator_audit_links", ["seq"], unique=True)
    op.create_index(
        "ix_operator_audit_links_pending", "operator_audit_links", ["written_at", "id"],
        postgresql_where=sa.text(PENDING), sqlite_where=sa.text(PENDING),
    )  # fmt: skip
    op.create_index("ix_operator_audit_links_action", "operator_audit_links", ["action_id"])
    op.create_table(
        "operator_audit_head",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operator_audit_head")),
    )
    # The actions of earlier releases have no links; the first link says how many there are.
    op.execute(sa.text(FIRST_LINK[dialect]).bindparams(digest="0" * 64))
    op.execute(sa.text(HEAD).bindparams(hash="0" * 64))


def downgrade() -> None:
    op.drop_table("operator_audit_head")
    op.drop_table("operator_audit_links")
    op.drop_column("operator_action_runs", "batch")
