"""The table of commands: each name and the module that implements it.

To add one: write a module with a click command in the folder that fits, and its line below. The help lists commands in
this order.
"""

from __future__ import annotations

from admin_cli.program.lazy import Entry

RUN = "Run"
LOOK = "Look"
ACT = "Act"
SETUP = "Set up"

COMMANDS: dict[str, Entry] = {
    "status": Entry("admin_cli.insight.status:status", "Show the state of the ledger and its alerts.", LOOK),
    "list": Entry("admin_cli.runs.list:list_command", "List runs; the latest changes come first.", LOOK),
    "show": Entry("admin_cli.runs.show:show", "Show a run: its state, attempts and arguments.", LOOK),
    "attempts": Entry("admin_cli.runs.show:attempts", "List the attempts of a run, first to last.", LOOK),
    "logs": Entry("admin_cli.runs.logs:logs", "Show what an attempt logged: run.log, and captured logs.", LOOK),
    "diff": Entry("admin_cli.runs.diff:diff", "Compare two attempts of a run, A and B.", LOOK),
    "why": Entry("admin_cli.runs.why:why", "Explain why a run is not running, or why it ended.", LOOK),
    "wait": Entry("admin_cli.runs.why:wait", "Wait until runs have ended: exit 7 if one did not succeed.", LOOK),
    "errors": Entry("admin_cli.runs.dlq:errors", "List errors in groups, the most frequent first.", LOOK),
    "dlq": Entry("admin_cli.runs.dlq:dlq", "Dead letters: list them, or group them by error.", ACT),
    "replay": Entry("admin_cli.runs.replay:replay", "Replay dead runs with a new retry budget.", ACT),
    "shadow": Entry("admin_cli.runs.shadow:shadow", "Perform stored runs with the code at hand, and compare.", LOOK),
    "signal": Entry("admin_cli.runs.signal:signal", "Send a signal to a run that waits for it.", ACT),
    "cancel": Entry("admin_cli.runs.cancel:cancel", "Cancel runs; workers interrupt those that are running.", ACT),
    "purge": Entry("admin_cli.runs.cancel:purge", "Hide finished runs; restore makes them visible again.", ACT),
    "restore": Entry("admin_cli.runs.cancel:restore", "Restore purged runs.", ACT),
    "batches": Entry("admin_cli.runs.batches:batches", "Batches: list, show, cancel and replay them.", ACT),
    "effects": Entry("admin_cli.runs.effects:effects", "Effects of runs: list them, and resolve unknown ones.", ACT),
    "queues": Entry("admin_cli.insight.queues:queues", "Queues: list, pause and resume them.", ACT),
    "limits": Entry("admin_cli.insight.limits:limits", "Limits and rates of runs: list, set and clear them.", ACT),
    "breakers": Entry("admin_cli.insight.breakers:breakers", "Breakers: list, show and release them.", ACT),
    "alerts": Entry("admin_cli.insight.alerts:alerts", "Alerts by webhook, Slack or e-mail: list, add and test.", ACT),
    "workers": Entry("admin_cli.insight.workers:workers", "Worker processes: list, show and stop them.", ACT),
    "bundle": Entry("admin_cli.insight.bundle:bundle", "Write runs, and what explains them, to one file.", LOOK),
    "chaos": Entry("admin_cli.chaos.commands:chaos", "Chaos on a staging ledger: allow, run, and prove.", ACT),
    "audit": Entry("admin_cli.insight.audit:audit", "The audit log: who changed which runs, when and why.", ACT),
    "seal": Entry("admin_cli.setup.seal:seal", "Sealed values: keys, rotation, opening and forgetting.", SETUP),
    "stored": Entry("admin_cli.insight.stored:stored", "Stored values: list them, check and collect them.", SETUP),
    "demo": Entry(
        "admin_cli.demo.command:demo",
        "Run a job for each file of a folder, then check the ledger.",
        RUN,
    ),
    "dev": Entry(
        "admin_cli.serve.worker:dev",
        "Start a worker, a scheduler and the pages on a local ledger.",
        RUN,
    ),
    "worker": Entry(
        "admin_cli.serve.worker:worker", "Perform runs in worker processes, and restart those that die.", RUN
    ),
    "scheduler": Entry("admin_cli.serve.scheduler:scheduler", "Make the runs of schedules when they are due.", RUN),
    "api": Entry("admin_cli.serve.api:api", "The HTTP API and its pages.", RUN),
    "mcp": Entry("admin_cli.serve.mcp:mcp", "Serve tools to agents by the Model Context Protocol.", RUN),
    "enqueue": Entry("admin_cli.runs.enqueue:enqueue", "Enqueue a run of KIND, and print its id.", RUN),
    "schedules": Entry(
        "admin_cli.schedules.commands:schedules", "Schedules: list, create, change, pause and preview them.", LOOK
    ),
    "history": Entry("admin_cli.insight.history:history", "History of ended runs: enable, disable and show it.", SETUP),
    "kinds": Entry("admin_cli.insight.kinds:kinds", "Job kinds: list, show and pause them, and set targets.", LOOK),
    "compat": Entry(
        "admin_cli.insight.compat:compat", "Check before a deploy: do the ledger's arguments fit the code?", LOOK
    ),
    "check": Entry(
        "admin_cli.insight.check:check", "Check the health: exit 0, 6 if unhealthy, 5 if a service is down.", LOOK
    ),
    "metrics": Entry("admin_cli.serve.metrics:metrics", "Serve the ledger's metrics for Prometheus.", LOOK),
    "users": Entry("admin_cli.setup.users:users", "Users of the API and its pages.", SETUP),
    "tokens": Entry("admin_cli.setup.users:tokens", "API tokens for programs.", SETUP),
    "sessions": Entry("admin_cli.setup.sessions:sessions", "Sessions: list who is signed in, and end sessions.", SETUP),
    "config": Entry("admin_cli.setup.config:config", "Show the settings, and where each value comes from.", SETUP),
    "migrate": Entry("admin_cli.setup.migrate:migrate", "Migrate the ledger's tables, and show their revision.", SETUP),
    "import-dramatiq": Entry(
        "admin_cli.setup.import_dramatiq:import_dramatiq",
        "Import the messages of dramatiq from Redis or RabbitMQ.",
        SETUP,
    ),
    "import-celery": Entry(
        "admin_cli.setup.import_celery:import_celery", "Import the tasks that Celery left in Redis.", SETUP
    ),
    "shell-init": Entry(
        "admin_cli.setup.shell_init:shell_init", "Print the shell function that makes `jobs WORD` work.", SETUP
    ),
    "completion": Entry("admin_cli.setup.completion:completion", "Print the completion script for a shell.", SETUP),
}
