"""The view ``jobs_scale``: how many worker processes each queue wants, for autoscalers that read SQL.

Its name, its columns and what they mean are public. Later migrations may add columns at the end.

Revision: 1_0037, after 1_0036.
"""

from alembic import op

revision = "1_0037"
down_revision = "1_0036"
branch_labels = None
depends_on = None

POSTGRESQL = """
create view jobs_scale as
with served as (
    select each.queue, count(*) as workers, sum(one.threads) as threads
    from job_workers as one cross join lateral json_array_elements_text(one.queues) as each(queue)
    where one.stopped_at is null and one.seen_at > statement_timestamp() - interval '60 seconds'
    group by each.queue
), due as (
    select queue, count(*) as ready from job_runs
    where state = 'queued' and run_at <= statement_timestamp() group by queue
), performing as (
    select queue, count(*) as running from job_runs where state = 'running' and deleted_at is null group by queue
), latest as (
    select run_id, greatest(extract(epoch from finished_at - started_at), 0) as took from job_attempts
    where finished_at > statement_timestamp() - interval '5 minutes' order by finished_at desc limit 2000
), spans as (
    select run.queue, avg(latest.took) as took from latest join job_runs as run on run.id = latest.run_id
    group by run.queue
), named as (
    select queue from served union select queue from due union select queue from performing
    union select name from job_queues
), counted as (
    select named.queue, coalesce(due.ready, 0) as ready, coalesce(performing.running, 0) as running,
        coalesce(served.workers, 0) as workers, coalesce(served.threads, 0) as threads,
        coalesce(served.threads::numeric / nullif(served.workers, 0), 8) as each_has,
        coalesce(known.latency_target_seconds, 300) as target_seconds, spans.took,
        coalesce(known.paused_at is not null
            and (known.paused_until is null or known.paused_until > statement_timestamp()), false) as is_paused
    from named left join due on due.queue = named.queue left join performing on performing.queue = named.queue
    left join served on served.queue = named.queue left join spans on spans.queue = named.queue
    left join job_queues as known on known.name = named.queue
)
select queue, ready, running, workers, threads, target_seconds, is_paused,
    (case when is_paused then 0 else greatest(
        ceil(workers * 0.75),
        case when ready = 0 and running = 0 then 0
        when ready = 0 then ceil(running / each_has)
        when took is null then greatest(workers, 1)
        else greatest(1, ceil((running + least(ready, ready * took / target_seconds)) / each_has)) end
    ) end)::bigint as workers_wanted
from counted
"""
SQLITE = """
create view jobs_scale as
with served as (
    select each.value as queue, count(*) as workers, sum(one.threads) as threads
    from job_workers as one cross join json_each(one.queues) as each
    where one.stopped_at is null and one.seen_at > strftime('%Y-%m-%d %H:%M:%f', 'now', '-60 seconds')
    group by each.value
), due as (
    select queue, count(*) as ready from job_runs
    where state = 'queued' and run_at <= strftime('%Y-%m-%d %H:%M:%f', 'now') group by queue
), performing as (
    select queue, count(*) as running from job_runs where state = 'running' and deleted_at is null group by queue
), latest as (
    select run_id, max((julianday(finished_at) - julianday(started_at)) * 86400.0, 0) as took from job_attempts
    where finished_at > strftime('%Y-%m-%d %H:%M:%f', 'now', '-5 minutes') order by finished_at desc limit 2000
), spans as (
    select run.queue, avg(latest.took) as took from latest join job_runs as run on run.id = latest.run_id
    group by run.queue
), named as (
    select queue from served union select queue from due union select queue from performing
    union select name from job_queues
), counted as (
    select named.queue, coalesce(due.ready, 0) as ready, coalesce(performing.running, 0) as running,
        coalesce(served.workers, 0) as workers, coalesce(served.threads, 0) as threads,
        coalesce(served.threads * 1.0 / nullif(served.workers, 0), 8.0) as each_has,
        coalesce(known.latency_target_seconds, 300) as target_seconds, spans.took,
        coalesce(known.paused_at is not null
            and (known.paused_until is null or known.paused_until > strftime('%Y-%m-%d %H:%M:%f', 'now')), 0)
            as is_paused
    from named left join due on due.queue = named.queue left join performing on performing.queue = named.queue
    left join served on served.queue = named.queue left join spans on spans.queue = named.queue
    left join job_queues as known on known.name = named.queue
), needed as (
    select counted.*, case when ready = 0 then running / each_has
        else (running + min(ready, ready * coalesce(took, 0) / target_seconds)) / each_has end as need
    from counted
)
select queue, ready, running, workers, threads, target_seconds, is_paused,
    cast(case when is_paused then 0 else max(
        cast(workers * 0.75 + 0.999 as integer),
        case when ready = 0 and running = 0 then 0
        when ready > 0 and took is null then max(workers, 1)
        else max(1, cast(need as integer) + (need > cast(need as integer))) end
    ) end as integer) as workers_wanted
from needed
"""


def upgrade() -> None:
    op.execute(SQLITE if op.get_context().dialect.name == "sqlite" else POSTGRESQL)


def downgrade() -> None:
    op.execute("drop view if exists jobs_scale")
