"""What workers publish of each kind, and on PostgreSQL the functions ``jobs_enqueue`` and ``jobs_cancel``.

Revision: 1_0018, after 1_0017.
"""

import sqlalchemy as sa
from alembic import op

revision = "1_0018"
down_revision = "1_0017"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(sa.Text(), "sqlite")

# Refuses what the published JSON schema forbids, as far as types, missing and unknown fields go; the worker checks all.
CHECK = """
create function jobs_check_arguments(kind text, arguments jsonb, schema jsonb) returns void
language plpgsql immutable as $$
declare
    field text;
    wanted jsonb;
    found text;
begin
    if jsonb_typeof(arguments) is distinct from 'object' then
        raise exception 'Arguments of % are a JSON object.', kind using errcode = '22023';
    end if;
    for field in select jsonb_array_elements_text(coalesce(schema -> 'required', '[]')) loop
        if not arguments ? field then
            raise exception 'Arguments of % lack the field %.', kind, field using errcode = '22023';
        end if;
    end loop;
    for field in select jsonb_object_keys(arguments) loop
        wanted := schema -> 'properties' -> field;
        if wanted is null then
            if schema -> 'additionalProperties' = 'false' then
                raise exception '% has no field %.', kind, field using errcode = '22023';
            end if;
            continue;
        end if;
        if wanted ? 'anyOf' then
            select jsonb_agg(one -> 'type') into wanted from jsonb_array_elements(wanted -> 'anyOf') as one;
        else
            wanted := jsonb_build_array(wanted -> 'type');
        end if;
        if wanted @> 'null' then
            continue;  -- A part without a plain type: the worker checks it.
        end if;
        found := jsonb_typeof(arguments -> field);
        if found = 'number' and not wanted ? 'number' and (arguments ->> field)::numeric % 1 = 0 then
            found := 'integer';
        end if;
        if not wanted ? found then
            raise exception 'Field % of % takes %, got %.', field, kind, wanted, found using errcode = '22023';
        end if;
    end loop;
end $$
"""

ENQUEUE = r"""
create function jobs_enqueue(
    kind text,
    arguments jsonb default '{}',
    queue text default null,
    priority int default null,
    delay interval default null,
    run_at timestamptz default null,
    key text default null,
    tags text[] default null,
    correlation_id text default null
) returns uuid
language plpgsql
set search_path from current
as $$
#variable_conflict use_column
declare
    published job_published_kinds%rowtype;
    now_at timestamptz := statement_timestamp();
    new_id uuid := jobs_new_run_id();
    due timestamptz;
    said text := 'sql' || left(md5(jobs_enqueue.arguments::text), 29);
    holder uuid;
    same boolean;
begin
    select * into published from job_published_kinds as one where one.kind = jobs_enqueue.kind;
    if not found then
        raise exception 'No worker has published the kind %.', jobs_enqueue.kind
            using errcode = '22023', hint = 'Start a worker that imports it, and check the spelling.';
    end if;
    perform jobs_check_arguments(jobs_enqueue.kind, jobs_enqueue.arguments, published.schema::jsonb);
    if octet_length(jobs_enqueue.arguments::text) > published.max_argument_bytes then
        raise exception 'Arguments of % have more than % bytes.', jobs_enqueue.kind, published.max_argument_bytes
            using errcode = '22023';
    end if;
    if jobs_enqueue.delay is not null and jobs_enqueue.run_at is not null then
        raise exception 'Give delay or run_at, not both.' using errcode = '22023';
    end if;
    if jobs_enqueue.queue !~ '^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,99}$' then
        raise exception '% cannot name a queue.', quote_literal(jobs_enqueue.queue) using errcode = '22023';
    end if;
    if jobs_enqueue.key = '' or length(jobs_enqueue.key) > 255 or jobs_enqueue.key ~ '[\x01-\x1f\x7f]' then
        raise exception 'A key is printable text of 1 to 255 characters.' using errcode = '22023';
    end if;
    if jobs_enqueue.key is null and published.is_unique then
        raise exception '% is unique, but there is no key.', jobs_enqueue.kind
            using errcode = '22023', hint = 'Give key => ''...''.';
    end if;
    due := coalesce(jobs_enqueue.run_at, now_at + coalesce(jobs_enqueue.delay, interval '0'));
    if due < '0001-01-01' or due > '9990-01-01' then
        raise exception 'The run would be due at %.', due using errcode = '22023';
    end if;

    for attempt in 1..10 loop
        holder := null;
        if jobs_enqueue.key is not null and published.hold_seconds is distinct from 0 then
            insert into job_keys as held (kind, key, run_id, arguments_hash, held_until)
            values (jobs_enqueue.kind, jobs_enqueue.key, new_id, said,
                    now_at + make_interval(secs => published.hold_seconds))
            on conflict (kind, key) do update
                set run_id = excluded.run_id, arguments_hash = excluded.arguments_hash, held_until = excluded.held_until
                where held.held_until <= now_at and not exists (
                    select from job_runs as live where live.id = held.run_id and live.state in ('queued', 'running'));
            if not found then
                select held.run_id, held.arguments_hash = said or one.arguments::jsonb = jobs_enqueue.arguments
                into holder, same
                from job_keys as held left join job_runs as one on one.id = held.run_id
                where held.kind = jobs_enqueue.kind and held.key = jobs_enqueue.key;
            end if;
        end if;
        if holder is null then
            insert into job_runs (
                id, kind, queue, priority, arguments, arguments_version, arguments_hash, state, attempt, charged,
                crashes, abandonments, max_attempts, run_at, key, created_at, state_at, tags, correlation_id,
                enqueued_by, has_followups)
            values (
                new_id, jobs_enqueue.kind, coalesce(jobs_enqueue.queue, published.queue),
                coalesce(jobs_enqueue.priority, published.priority), jobs_enqueue.arguments::json,
                published.arguments_version, case when jobs_enqueue.key is not null then said end, 'queued', 0, 0,
                0, 0, published.max_attempts, due, jobs_enqueue.key, now_at, now_at, to_json(jobs_enqueue.tags),
                left(jobs_enqueue.correlation_id, 100), left('sql/' || session_user, 200), false)
            on conflict do nothing;
            if found then
                perform pg_notify('jobs_ready', '');
                return new_id;
            end if;
            select one.id, one.arguments::jsonb = jobs_enqueue.arguments into holder, same from job_runs as one
            where one.kind = jobs_enqueue.kind and one.key = jobs_enqueue.key and one.state in ('queued', 'running');
        end if;
        if holder is not null then
            if same then
                return holder;
            end if;
            raise exception 'The key % of % is held by run %, whose arguments differ.',
                quote_literal(jobs_enqueue.key), jobs_enqueue.kind, holder using errcode = '23505';
        end if;
        -- The holder ended between the two statements.
    end loop;
    raise exception 'The key % changed hands again and again.', quote_literal(jobs_enqueue.key) using errcode = '40001';
end $$
"""

# Version 7 of a UUID: milliseconds, then random bits. https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-7
NEW_ID = """
create function jobs_new_run_id() returns uuid language sql volatile as $$
    select encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
        placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3) from 1 for 6),
        52, 1), 53, 1), 'hex')::uuid
$$
"""

CANCEL = """
create function jobs_cancel(run_id uuid, reason text default null) returns text
language plpgsql
set search_path from current
as $$
declare
    run record;
begin
    select one.state, one.has_followups into run from job_runs as one where one.id = jobs_cancel.run_id for update;
    if not found or run.state not in ('queued', 'running') then
        return null;
    end if;
    if run.state = 'queued' and run.has_followups then
        raise exception 'Run % has follow-ups.', jobs_cancel.run_id
            using errcode = '0A000', hint = 'Cancel it by the API or by jobledger cancel, which enqueue them.';
    end if;
    update job_runs as one set
        state = case one.state when 'queued' then 'cancelled' else one.state end,
        finished_at = case one.state when 'queued' then statement_timestamp() end,
        state_at = case one.state when 'queued' then statement_timestamp() else one.state_at end,
        cancel_requested_at = statement_timestamp(),
        cancel_reason = left(jobs_cancel.reason, 500),
        run_at = coalesce(one.due_at, one.run_at), due_at = null, hold = null, held_at = null, held_on = null
    where one.id = jobs_cancel.run_id
    returning one.state into run;
    return run.state;
end $$
"""
FUNCTIONS = (NEW_ID, CHECK, ENQUEUE, CANCEL)
DROPS = (
    "drop function jobs_cancel(uuid, text)",
    "drop function jobs_enqueue(text, jsonb, text, int, interval, timestamptz, text, text[], text)",
    "drop function jobs_check_arguments(text, jsonb, jsonb)",
    "drop function jobs_new_run_id()",
)


def upgrade() -> None:
    op.create_table(
        "job_published_kinds",
        sa.Column("kind", sa.String(length=200), nullable=False),
        sa.Column("queue", sa.String(length=100), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("arguments_version", sa.Integer(), nullable=False),
        sa.Column("is_unique", sa.Boolean(), nullable=False),
        sa.Column("hold_seconds", sa.Float(), nullable=True),
        sa.Column("schema", JSON, nullable=True),
        sa.Column("max_argument_bytes", sa.Integer(), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("kind", name=op.f("pk_job_published_kinds")),
    )
    if op.get_context().dialect.name == "postgresql":
        for function in FUNCTIONS:
            op.execute(function)


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        for drop in DROPS:
            op.execute(drop)
    op.drop_table("job_published_kinds")
