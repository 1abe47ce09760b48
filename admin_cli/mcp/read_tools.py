"""Tools that read. They change nothing."""

from __future__ import annotations

from typing import Annotated, Any

from mcp.server.mcpserver import MCPServer
from mcp_types import ToolAnnotations
from pydantic import Field

from admin_cli.mcp.session import Answer, McpSession, with_tool_errors
from admin_cli.runs.run_columns import attempt_json, fields_of, run_json
from jobs.formats.jsonable import jsonable
from jobs.operations.deploys.compat import compare
from jobs.operations.insight.alerts import alerts
from jobs.operations.insight.dead_letters import error_groups
from jobs.operations.insight.forecast import forecasts
from jobs.operations.runs import inspect
from jobs.operations.runs.explain import explain
from jobs.operations.runs.logs import log_of
from jobs.operations.runs.selector import SelectorInput, make_selector

Id = Annotated[str, Field(description="A run: its id, or the last eight characters of it.", max_length=100)]
Where = Annotated[
    str | None,
    Field(description="Query, as of `jobledger list --where`: state:dead kind:ChargeCard since:1h", max_length=1000),
]
Limit = Annotated[int, Field(description="Most items.", ge=1, le=200)]
READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)


def add_read_tools(server: MCPServer, session: McpSession) -> None:
    """Add the tools that read."""
    app = session.app

    def status() -> Answer:
        """The state of the platform: queues, workers, dead letters, and what is wrong."""
        who = session.whose()
        seen = inspect.status(app, who)
        return _plain(
            queues=seen.shown_queues,
            workers=seen.workers,
            dead_groups=seen.groups,
            ended_in_5m={state.value: number for state, number in seen.ended_in_5m.items()},
            wrong=alerts(app, who),
        )

    def list_runs(where: Where = None, limit: Limit = 20, cursor: str | None = None) -> Answer:
        """List runs, the latest change first; `cursor` is the `next_cursor` of the page before."""
        selector = make_selector(app, SelectorInput(where=where))
        page = inspect.list_runs(app, session.whose(), selector, limit=limit, cursor=cursor)
        return _plain(runs=[run_json(run) for run in page.runs], next_cursor=page.next_cursor)

    def show(run: Id) -> Answer:
        """Show a run with its attempts and their errors."""
        found, attempts = inspect.find_run(app, session.whose(), run)
        return _plain(run=run_json(found), attempts=[attempt_json(one) for one in attempts[-20:]])

    def why(run: Id) -> Answer:
        """Explain why a run is not running, or why it ended."""
        found = explain(app, session.whose(), run)
        return _plain(
            id=found.run.id, kind=found.run.kind, state=found.run.state, code=found.code, sentence=found.sentence,
            evidence=dict(found.evidence),
        )  # fmt: skip

    def logs(run: Id, attempt: int | None = None, after: int = 0, limit: Limit = 100) -> Answer:
        """The log lines that an attempt kept; by default of the latest. `after` is a line's number."""
        return _plain(log=log_of(app, session.whose(), run, attempt=attempt, after=after, limit=limit))

    def errors(limit: Limit = 20) -> Answer:
        """Failures of the last day in groups, the most frequent first."""
        return _plain(groups=error_groups(app, session.whose(), limit=limit))

    def compat(kinds: list[str] | None = None) -> Answer:
        """Whether the arguments in the ledger fit the job classes that this server has imported."""
        found = compare(app, session.whose(), kinds=tuple(kinds or ()))
        return _plain(
            kinds=[
                {
                    "kind": one.kind,
                    "place": one.place,
                    "number": one.number,
                    "checked": one.fit.checked,
                    "result": one.result,
                    "breaks": one.breaks,
                    "misfits": [fields_of(misfit) for misfit in one.misfits[:5]],
                }
                for one in found
            ]
        )

    def forecast(queue: str | None = None, more_threads: Annotated[int, Field(ge=0, le=10_000)] = 0) -> Answer:
        """When the backlogs of queues are gone, in seconds; null is never, or not known yet."""
        return _plain(queues=forecasts(app, session.whose(), queue=queue, more_threads=more_threads))

    for tool in (status, list_runs, show, why, logs, errors, forecast, compat):
        name = "list" if tool is list_runs else None
        server.add_tool(with_tool_errors(tool), name=name, annotations=READS)


def _plain(**values: Any) -> Answer:
    answer: Answer = jsonable(values)
    return answer
