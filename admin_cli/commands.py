"""The table of commands: name -> where it is. A command that does not exist is not here.

To add one: write ``admin_cli/<name>.py`` with a click command, and its line below. Help shows the table's
order.
"""

from __future__ import annotations

from admin_cli.lazy import Entry

RUN = "Run"
SETUP = "Set up"

COMMANDS: dict[str, Entry] = {
    "demo": Entry(
        "admin_cli.demo:demo",
        "Run a job for every file below FOLDER (Python's own library), and check the ledger against them.",
        RUN,
    ),
    "dev": Entry(
        "admin_cli.worker:dev",
        "Perform runs from jobs.db in this folder, which it makes: one process, a line for every start and end.",
        RUN,
    ),
    "worker": Entry(
        "admin_cli.worker:worker", "Perform runs, in processes that are each restarted when they die.", RUN
    ),
    "scheduler": Entry(
        "admin_cli.scheduler:scheduler",
        "Make runs of what schedules say is due. Start as many as you like: each slot fires once.",
        RUN,
    ),
    "enqueue": Entry("admin_cli.enqueue:enqueue", "Record a run of KIND, and print its id.", RUN),
    "kinds": Entry("admin_cli.kinds:kinds", "The kinds of job that the application defines.", RUN),
    "migrate": Entry("admin_cli.migrate:migrate", "Make, move and show the ledger's tables.", SETUP),
    "shell-init": Entry("admin_cli.shell_init:shell_init", "Print what makes `jobs WORD` work in your shell.", SETUP),
    "completion": Entry("admin_cli.completion:completion", "Print the completion script of a shell.", SETUP),
}
