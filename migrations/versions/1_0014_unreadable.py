"""A cause for runs whose row cannot be read, and the current failures of a worker process.

Both without reading a row: the CHECK only gets wider.

Revision: 1_0014, after 1_0013.
"""

import sqlalchemy as sa
from alembic import op

revision = "1_0014"
down_revision = "1_0013"
branch_labels = None
depends_on = None

OLD = "cause in ('bad_arguments', 'exhausted', 'expired', 'gave_up', 'poison', 'unknown_effect', 'unknown_kind')"
NEW = (
    "cause in ('bad_arguments', 'exhausted', 'expired', 'gave_up', 'poison', 'unknown_effect', 'unknown_kind', "
    "'unreadable')"
)


def upgrade() -> None:
    _replace(OLD, NEW)
    # After the other statement: on SQLite this one makes other connections read the table definitions again.
    op.add_column("job_workers", sa.Column("problem", sa.String(length=300), nullable=True))


def downgrade() -> None:
    op.execute("update job_runs set cause = 'gave_up' where state = 'dead' and cause = 'unreadable'")
    _replace(NEW, OLD)
    op.drop_column("job_workers", "problem")


def _replace(old: str, new: str) -> None:
    if op.get_context().dialect.name == "postgresql":
        op.drop_constraint(op.f("ck_job_runs_cause"), "job_runs", type_="check")
        # Existing rows are not checked, which would block every other connection: none has a cause that is not
        # allowed.
        op.create_check_constraint(op.f("ck_job_runs_cause"), "job_runs", sa.text(new), postgresql_not_valid=True)
        return
    # Changes a CHECK without copying the table, as https://sqlite.org/lang_altertable.html describes.
    op.execute("pragma writable_schema = on")
    op.execute(
        sa.text(
            "update sqlite_master set sql = replace(sql, :old, :new) where type = 'table' and name = 'job_runs'"
        ).bindparams(old=old, new=new)
    )
    op.execute("pragma writable_schema = reset")
