"""On PostgreSQL the function ``jobs_signal``.

Revision: 1_0022, after 1_0021.
"""

from alembic import op

revision = "1_0022"
down_revision = "1_0021"
branch_labels = None
depends_on = None

SIGNAL = r"""
create function jobs_signal(run_id uuid, name text, payload jsonb default 'null') returns boolean
language plpgsql
set search_path from current
as $$
#variable_conflict use_column
declare
    run record;
begin
    if jobs_signal.name is null or jobs_signal.name = '' or length(jobs_signal.name) > 200
        or jobs_signal.name ~ '[\x01-\x1f\x7f]' then
        raise exception 'A signal has a printable name of 1 to 200 characters.' using errcode = '22023';
    end if;
    select one.state into run from job_runs as one where one.id = jobs_signal.run_id for update;
    if not found then
        return null;
    end if;
    if run.state not in ('queued', 'running') then
        raise exception 'Run % has ended (%), so it takes no signal.', jobs_signal.run_id, run.state
            using errcode = '55000';
    end if;
    if (select count(*) from job_signals as sent where sent.run_id = jobs_signal.run_id) >= 1000 then
        raise exception 'Run % has 1000 signals already.', jobs_signal.run_id using errcode = '54000';
    end if;
    insert into job_signals (run_id, name, payload, sent_at, sent_by)
    values (jobs_signal.run_id, jobs_signal.name, jobs_signal.payload::json, statement_timestamp(),
            left('sql/' || session_user, 200))
    on conflict do nothing;
    if not found then
        return false;
    end if;
    update job_runs as one set
        run_at = statement_timestamp(), due_at = null, hold = null, held_at = null, held_on = null
    where one.id = jobs_signal.run_id and one.state = 'queued' and one.hold = 'waiting'
        and one.held_on = 'signal:' || jobs_signal.name;
    perform pg_notify('jobs_ready', '');
    return true;
end $$
"""


def upgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute(SIGNAL)


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute("drop function jobs_signal(uuid, text, jsonb)")
