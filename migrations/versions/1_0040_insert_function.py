"""On PostgreSQL the function ``jobs_insert_run``: inserts a plain run for a connection that prepares no statements.

Revision: 1_0040, after 1_0039.
"""

import sqlalchemy as sa
from alembic import op

revision = "1_0040"
down_revision = "1_0039"
branch_labels = None
depends_on = None

# Without a schema of its own the ledger is where the caller's search_path finds it, as for each other statement.
INSERT = """
create function jobs_insert_run(
    id uuid, kind text, queue text, priority int, arguments json, arguments_version int, max_attempts int,
    correlation_id text, enqueued_by text, parent_id uuid, root_id uuid, notify boolean, now timestamptz
) returns timestamptz
language plpgsql as $$
#variable_conflict use_column
declare
    now_at timestamptz := coalesce(jobs_insert_run.now, statement_timestamp());
begin
    insert into {table} (
        id, kind, queue, priority, arguments, arguments_version, max_attempts, correlation_id, enqueued_by, parent_id,
        root_id, run_at, created_at, state_at, state, attempt, charged, crashes, abandonments)
    values (
        jobs_insert_run.id, jobs_insert_run.kind, jobs_insert_run.queue, jobs_insert_run.priority,
        jobs_insert_run.arguments, jobs_insert_run.arguments_version, jobs_insert_run.max_attempts,
        jobs_insert_run.correlation_id, jobs_insert_run.enqueued_by, jobs_insert_run.parent_id,
        jobs_insert_run.root_id, now_at, now_at, now_at, 'queued', 0, 0, 0, 0);
    if jobs_insert_run.notify then
        perform pg_notify('jobs_ready', '');
    end if;
    return now_at;
end $$
"""
DROP = (
    "drop function jobs_insert_run(uuid, text, text, int, json, int, int, text, text, uuid, uuid, boolean, timestamptz)"
)


def upgrade() -> None:
    context = op.get_context()
    if context.dialect.name == "postgresql":
        schema = context.version_table_schema
        quoted = f"{context.dialect.identifier_preparer.quote_identifier(schema)}." if schema else ""
        op.execute(sa.text(INSERT.replace("{table}", f"{quoted}job_runs".replace(":", r"\:"))))


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute(DROP)
