"""`jobs import-celery`: moves an application's Celery tasks from Redis into the ledger."""

from __future__ import annotations

import click

from admin_cli.program.actor import this_operator
from admin_cli.program.app import open_app
from admin_cli.program.options import IMPORT, Globals, pass_globals
from admin_cli.program.prompt import confirm
from admin_cli.setup.moved_report import count_of, report_moved
from admin_cli.terminal.columns import Column
from admin_cli.terminal.output import Output, output_options

COLUMNS = (Column("queue"), Column("tasks"))


@click.command("import-celery")
@click.argument("url", metavar="REDIS_URL")
@click.option("--queue", "queues", multiple=True, help="A queue that no worker has declared; may be repeated.")
@click.option("--prefix", default="", help="Celery's global_keyprefix.")
@click.option("--sep", "separator", help="Celery's transport option sep, if the import does not find it.")
@click.option("--map", "mapped", multiple=True, metavar="TASK=KIND", help="The job of a task; may be repeated.")
@click.option("--fetched", is_flag=True, help="Also tasks that workers had fetched. Stop every Celery worker first.")
@click.option("--dry-run", is_flag=True, help="Show which tasks it would move or refuse; move nothing.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@IMPORT
@output_options(COLUMNS)
@pass_globals
def import_celery(
    options: Globals,
    out: Output,
    url: str,
    queues: tuple[str, ...],
    prefix: str,
    separator: str | None,
    mapped: tuple[str, ...],
    fetched: bool,
    dry_run: bool,
    yes: bool,
    imports: tuple[str, ...],
) -> None:
    """Import the tasks that Celery left in Redis.

    Moves waiting tasks whose content is JSON, and with --fetched those that workers held, such as tasks with an ETA. A
    task becomes a run of the job that has its name as kind or alias, or that --map names. It deletes a task from Redis
    once the ledger has it; run it again to continue. Tasks without a job, pickles and chains stay in Redis.

    \b
    Examples:
      jobledger import-celery redis://old:6379 --import shop.jobs --dry-run
      jobledger import-celery redis://old:6379 --import shop.jobs --fetched --yes
    """
    from jobs.operations.runs.import_celery import import_tasks
    from jobs.ready.celery_queues import CeleryQueues

    kinds = dict(_pair(one) for one in mapped)
    app = open_app(options, imports=imports)
    old = CeleryQueues(url, prefix=prefix, names=queues, separator=separator)
    try:
        if not dry_run:
            there = sum(old.waiting(name) for name in old.names()) + (old.fetched() if fetched else 0)
            confirm(there, "move", yes=yes, noun="task")
        done = import_tasks(app, old, this_operator(), kinds=kinds, with_fetched=fetched, dry_run=dry_run)
    finally:
        old.close()
    rows = [{"queue": name, "tasks": count} for name, count in sorted(done.tasks.items()) if count]
    meta = {"known_already": done.known_already, "fetched": done.fetched, "refused": done.refused}
    out.rows(rows, empty=f"no tasks in {old.shown}", meta=meta)
    held = f"workers have fetched {count_of(done.fetched, 'task')}: stop them, and import with --fetched"
    report_moved(
        done,
        noun="task",
        name="task",
        dry_run=dry_run,
        warnings=[held] if done.fetched and not fetched else [],
        problem="could not be moved, and stay in Redis",
        hint="List them with -o json. Give a job the task's name: class F(Job, aliases=('shop.tasks.f',)).",
    )


def _pair(text: str) -> tuple[str, str]:
    task, sign, kind = text.partition("=")
    if not (task and sign and kind):
        raise click.UsageError(f"--map takes TASK=KIND, got {text!r}.")
    return task, kind
