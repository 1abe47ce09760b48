"""The table of commands: each name and the module that implements it.

To add one: write ``admin_cli/<name>.py`` with a click command, and its line below. Help shows the table's
order.
"""

from __future__ import annotations

from admin_cli.program.lazy import Entry

RUN = "Run"
LOOK = "Look"
ACT = "Act"
SETUP = "Set up"

COMMANDS: dict[str, Entry] = {
    "status": Entry("admin_cli.insight.status:status", "Show what is going on, and what is wrong.", LOOK),
    "list": Entry("admin_cli.runs.list:list_command", "List runs, those that changed last first.", LOOK),
    "show": Entry("admin_cli.runs.show:show", "Show a run: where it stands, its attempts, its arguments.", LOOK),
    "attempts": Entry("admin_cli.runs.show:attempts", "List the attempts of a run, first to last.", LOOK),
    "diff": Entry("admin_cli.runs.show:diff", "Show what changed between two attempts, A and B, of a run.", LOOK),
    "why": Entry("admin_cli.runs.why:why", "Say why a run is not running, or why it ended.", LOOK),
    "wait": Entry("admin_cli.runs.why:wait", "Wait until runs have ended: exit 7 if one did not succeed.", LOOK),
    "errors": Entry("admin_cli.runs.dlq:errors", "Group what fails by error, the most frequent first.", LOOK),
    "dlq": Entry("admin_cli.runs.dlq:dlq", "Dead letters: runs that gave up, alone and in groups.", ACT),
    "replay": Entry("admin_cli.runs.replay:replay", "Replay dead runs, with a fresh budget.", ACT),
    "cancel": Entry("admin_cli.runs.cancel:cancel", "Cancel runs; the jobs of those that run are interrupted.", ACT),
    "purge": Entry("admin_cli.runs.cancel:purge", "Hide runs that have ended; restore brings them back.", ACT),
    "restore": Entry("admin_cli.runs.cancel:restore", "Bring purged runs back.", ACT),
    "queues": Entry("admin_cli.insight.queues:queues", "Queues: what waits in them, and pausing them.", ACT),
    "workers": Entry("admin_cli.insight.workers:workers", "Worker processes: who is live, and stopping one.", ACT),
    "audit": Entry("admin_cli.insight.audit:audit", "What operators did: who, when, to which runs, why.", ACT),
    "demo": Entry(
        "admin_cli.demo.command:demo",
        "Run a job for each file of a folder, and check the ledger.",
        RUN,
    ),
    "dev": Entry(
        "admin_cli.serve.worker:dev",
        "Perform runs from jobs.db here, fire schedules, serve the pages.",
        RUN,
    ),
    "worker": Entry("admin_cli.serve.worker:worker", "Perform runs, in processes restarted when they die.", RUN),
    "scheduler": Entry("admin_cli.serve.scheduler:scheduler", "Make runs of what schedules say is due.", RUN),
    "api": Entry("admin_cli.serve.api:api", "The HTTP API and its pages.", RUN),
    "enqueue": Entry("admin_cli.runs.enqueue:enqueue", "Record a run of KIND, and print its id.", RUN),
    "schedules": Entry(
        "admin_cli.schedules.commands:schedules", "When runs are made, and what became of each slot.", LOOK
    ),
    "kinds": Entry("admin_cli.insight.kinds:kinds", "The kinds of job that the application defines.", LOOK),
    "check": Entry(
        "admin_cli.insight.check:check", "Say whether all is well: exit 0, or 6; 5 when a service is down.", LOOK
    ),
    "metrics": Entry("admin_cli.serve.metrics:metrics", "The ledger's metrics, for Prometheus.", LOOK),
    "users": Entry("admin_cli.setup.users:users", "Who may use the API and its pages.", SETUP),
    "tokens": Entry("admin_cli.setup.users:tokens", "Tokens, with which programs use the API.", SETUP),
    "sessions": Entry("admin_cli.setup.sessions:sessions", "Who is signed in, from where, and ending that.", SETUP),
    "config": Entry("admin_cli.setup.config:config", "The settings, and where each comes from.", SETUP),
    "migrate": Entry("admin_cli.setup.migrate:migrate", "Make, move and show the ledger's tables.", SETUP),
    "import-dramatiq": Entry(
        "admin_cli.setup.import_dramatiq:import_dramatiq", "Move a dramatiq RedisBroker's messages here.", SETUP
    ),
    "shell-init": Entry(
        "admin_cli.setup.shell_init:shell_init", "Print what makes `jobs WORD` work in your shell.", SETUP
    ),
    "completion": Entry("admin_cli.setup.completion:completion", "Print the completion script of a shell.", SETUP),
}
