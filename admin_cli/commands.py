"""The table of commands: name -> where it is. A command that does not exist is not here.

To add one: write ``admin_cli/<name>.py`` with a click command, and its line below. Help shows the table's
order.
"""

from __future__ import annotations

from admin_cli.lazy import Entry

RUN = "Run"
LOOK = "Look"
ACT = "Act"
SETUP = "Set up"

COMMANDS: dict[str, Entry] = {
    "status": Entry("admin_cli.status:status", "Show what is going on, and what is wrong.", LOOK),
    "list": Entry("admin_cli.list:list_command", "List runs, those that changed last first.", LOOK),
    "show": Entry("admin_cli.show:show", "Show a run: where it stands, its attempts, its arguments.", LOOK),
    "attempts": Entry("admin_cli.show:attempts", "List the attempts of a run, first to last.", LOOK),
    "diff": Entry("admin_cli.show:diff", "Show what changed between two attempts, A and B, of a run.", LOOK),
    "why": Entry("admin_cli.why:why", "Say why a run is not running, or why it ended.", LOOK),
    "wait": Entry("admin_cli.why:wait", "Wait until runs have ended: exit 7 if one did not succeed.", LOOK),
    "errors": Entry("admin_cli.dlq:errors", "Group what fails by error, the most frequent first.", LOOK),
    "dlq": Entry("admin_cli.dlq:dlq", "Dead letters: runs that gave up, alone and in groups.", ACT),
    "replay": Entry("admin_cli.replay:replay", "Replay dead runs, with a fresh budget.", ACT),
    "cancel": Entry("admin_cli.cancel:cancel", "Cancel runs; the jobs of those that run are interrupted.", ACT),
    "purge": Entry("admin_cli.cancel:purge", "Hide runs that have ended; restore brings them back.", ACT),
    "restore": Entry("admin_cli.cancel:restore", "Bring purged runs back.", ACT),
    "queues": Entry("admin_cli.queues:queues", "Queues: what waits in them, and pausing them.", ACT),
    "workers": Entry("admin_cli.workers:workers", "Worker processes: who is live, and stopping one.", ACT),
    "audit": Entry("admin_cli.audit:audit", "What operators did: who, when, to which runs, why.", ACT),
    "demo": Entry(
        "admin_cli.demo:demo",
        "Run a job for each file of a folder, and check the ledger.",
        RUN,
    ),
    "dev": Entry(
        "admin_cli.worker:dev",
        "Perform runs from jobs.db here, fire schedules, serve the pages.",
        RUN,
    ),
    "worker": Entry("admin_cli.worker:worker", "Perform runs, in processes restarted when they die.", RUN),
    "scheduler": Entry("admin_cli.scheduler:scheduler", "Make runs of what schedules say is due.", RUN),
    "api": Entry("admin_cli.api:api", "The HTTP API and its pages.", RUN),
    "enqueue": Entry("admin_cli.enqueue:enqueue", "Record a run of KIND, and print its id.", RUN),
    "schedules": Entry("admin_cli.schedules:schedules", "When runs are made, and what became of each slot.", LOOK),
    "kinds": Entry("admin_cli.kinds:kinds", "The kinds of job that the application defines.", LOOK),
    "check": Entry("admin_cli.check:check", "Say whether all is well: exit 0, or 6; 5 when a service is down.", LOOK),
    "metrics": Entry("admin_cli.metrics:metrics", "The ledger's metrics, for Prometheus.", LOOK),
    "users": Entry("admin_cli.users:users", "Who may use the API and its pages.", SETUP),
    "tokens": Entry("admin_cli.users:tokens", "Tokens, with which programs use the API.", SETUP),
    "sessions": Entry("admin_cli.sessions:sessions", "Who is signed in, from where, and ending that.", SETUP),
    "config": Entry("admin_cli.config:config", "The settings, and where each comes from.", SETUP),
    "migrate": Entry("admin_cli.migrate:migrate", "Make, move and show the ledger's tables.", SETUP),
    "import-dramatiq": Entry(
        "admin_cli.import_dramatiq:import_dramatiq", "Move a dramatiq RedisBroker's messages here.", SETUP
    ),
    "shell-init": Entry("admin_cli.shell_init:shell_init", "Print what makes `jobs WORD` work in your shell.", SETUP),
    "completion": Entry("admin_cli.completion:completion", "Print the completion script of a shell.", SETUP),
}
