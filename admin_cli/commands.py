"""The table of commands: name -> where it is. A command that does not exist is not here.

To add one: write ``admin_cli/<name>.py`` with a click command, and its line below. Help shows the table's
order.
"""

from __future__ import annotations

from admin_cli.lazy import Entry

RUN = "Run"
LOOK = "Look"
SETUP = "Set up"

COMMANDS: dict[str, Entry] = {
    "demo": Entry(
        "admin_cli.demo:demo",
        "Run a job for each file of a folder, and check the ledger.",
        RUN,
    ),
    "dev": Entry(
        "admin_cli.worker:dev",
        "Perform runs from this folder's jobs.db, which it makes.",
        RUN,
    ),
    "worker": Entry("admin_cli.worker:worker", "Perform runs, in processes restarted when they die.", RUN),
    "scheduler": Entry("admin_cli.scheduler:scheduler", "Make runs of what schedules say is due.", RUN),
    "enqueue": Entry("admin_cli.enqueue:enqueue", "Record a run of KIND, and print its id.", RUN),
    "status": Entry("admin_cli.status:status", "Show what is wrong now, the queues and the live workers.", LOOK),
    "list": Entry("admin_cli.list:list_runs", "List runs, newest first.", LOOK),
    "show": Entry("admin_cli.show:show", "Show a run and its attempts.", LOOK),
    "schedules": Entry("admin_cli.schedules:schedules", "When runs are made, and what became of each slot.", LOOK),
    "kinds": Entry("admin_cli.kinds:kinds", "The kinds of job that the application defines.", LOOK),
    "migrate": Entry("admin_cli.migrate:migrate", "Make, move and show the ledger's tables.", SETUP),
    "shell-init": Entry("admin_cli.shell_init:shell_init", "Print what makes `jobs WORD` work in your shell.", SETUP),
    "completion": Entry("admin_cli.completion:completion", "Print the completion script of a shell.", SETUP),
}
