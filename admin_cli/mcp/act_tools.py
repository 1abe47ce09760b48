"""Tools that act. Each shows a dry run first, and acts only with the confirmation that the dry run gave."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any, Literal

from mcp.server.mcpserver import MCPServer
from mcp_types import ToolAnnotations
from pydantic import Field

from admin_cli.mcp.confirmations import LASTS_SECONDS
from admin_cli.mcp.session import Answer, McpSession, with_tool_errors
from admin_cli.runs.run_columns import run_json
from jobs.formats.jsonable import jsonable
from jobs.operations.audit.entry import check_reason
from jobs.operations.audit.operator import Permission
from jobs.operations.bulk.action import carry_out, plan
from jobs.operations.bulk.batches import Act
from jobs.operations.bulk.cancel import CancelAction
from jobs.operations.bulk.dry_run import dry_run_of
from jobs.operations.bulk.purge import PurgeAction, RestoreAction
from jobs.operations.bulk.replay import ReplayAction
from jobs.operations.bulk.undo import plan_undo
from jobs.operations.bulk.undo import undo as carry_out_undo
from jobs.operations.control import pause as pausing
from jobs.operations.runs.selector import SelectorInput, make_selector

Ids = Annotated[list[str] | None, Field(description="Runs, by id or its last eight characters.", max_length=200)]
Where = Annotated[
    str | None, Field(description="Query: state:dead kind:ChargeCard error:timeout since:1h", max_length=1000)
]
Most = Annotated[int | None, Field(description="At most so many, the oldest.", ge=1)]
Reason = Annotated[str | None, Field(description="Why, for the audit log.", max_length=500)]
Confirmation = Annotated[
    str | None, Field(description="Leave out for a dry run; then repeat the call with the token that it gave.")
]
What = Literal["queue", "kind"]
ACTS = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=False, open_world_hint=False)


def add_act_tools(server: MCPServer, session: McpSession) -> None:
    """Add the tools that act."""
    app = session.app

    def on_runs(
        tool: str,
        act: Act,
        ids: list[str] | None,
        where: str | None,
        most: int | None,
        reason: str | None,
        confirmation: str | None,
        **options: Any,
    ) -> Answer:
        who = session.whose()
        selector = make_selector(app, SelectorInput(ids=tuple(ids or ()), where=where, limit=most))
        call = {"ids": sorted(ids or ()), "where": where, "most": most, **options}
        if confirmation is None:
            planned = plan(app, who, act, selector)
            check_reason(app, reason)
            dry = dry_run_of(app, who, act, planned)
            return _dry_run(
                session.confirmations.give(who.name, tool, call, count=planned.count),
                count=planned.count,
                skipped=dry.skipped,
                some_skipped=dry.some_skipped,
                groups=[{"kind": kind, "state": state, "count": number} for kind, state, number in planned.groups],
                sample=[run_json(run) for run in planned.sample],
                changes=dry.changes,
            )
        who.need(act.permission)
        expected = session.confirmations.take(confirmation, who.name, tool, call)
        planned = plan(app, who, act, selector)
        return _done(report=carry_out(app, who, act, planned, reason=reason, expect=expected))

    def replay(
        ids: Ids = None, where: Where = None, most: Most = None, reason: Reason = None,
        confirmation: Confirmation = None,
    ) -> Answer:  # fmt: skip
        """Replay dead runs with a new retry budget. Without `confirmation` it only shows what it would do."""
        act = ReplayAction(app=app, operator=session.whose())
        return on_runs("replay", act, ids, where, most, reason, confirmation)

    def cancel(
        ids: Ids = None, where: Where = None, most: Most = None, reason: Reason = None,
        confirmation: Confirmation = None,
    ) -> Answer:  # fmt: skip
        """Cancel waiting and running runs. Without `confirmation` it only shows what it would do."""
        return on_runs("cancel", CancelAction(reason=reason), ids, where, most, reason, confirmation)

    def purge(
        ids: Ids = None, where: Where = None, most: Most = None, reason: Reason = None,
        confirmation: Confirmation = None,
    ) -> Answer:  # fmt: skip
        """Hide ended runs; `restore` shows them again. Without `confirmation` it only shows what it would do."""
        return on_runs("purge", PurgeAction(), ids, where, most, reason, confirmation)

    def restore(
        ids: Ids = None, where: Where = None, most: Most = None, reason: Reason = None,
        confirmation: Confirmation = None,
    ) -> Answer:  # fmt: skip
        """Show purged runs again. Without `confirmation` it only shows what it would do."""
        return on_runs("restore", RestoreAction(), ids, where, most, reason, confirmation)

    def once(tool: str, call: dict[str, Any], needs: Permission, shows: Callable[[], Any], does: Callable[[], Any],
             reason: str | None, confirmation: str | None) -> Answer:  # fmt: skip
        who = session.whose()
        who.need(needs)
        check_reason(app, reason)
        if confirmation is None:
            token = session.confirmations.give(who.name, tool, call, count=1)
            return _dry_run(token, would=shows())
        session.confirmations.take(confirmation, who.name, tool, call)
        return _done(result=does())

    def pause(
        what: What, name: str, minutes: Annotated[float | None, Field(gt=0, le=525_600)] = None,
        reason: Reason = None, confirmation: Confirmation = None,
    ) -> Answer:  # fmt: skip
        """Pause a queue or a kind: workers start none of its runs. Without `minutes`, until it is resumed."""
        span = None if minutes is None else timedelta(minutes=minutes)
        pausing.check_known(app, session.whose(), what, name, reason, is_new=False)
        return once(
            "pause", {"what": what, "name": name, "minutes": minutes}, Permission.QUEUES_WRITE,
            lambda: f"pause the {what} {name}; running runs go on",
            lambda: pausing.pause(app, session.whose(), what, name, reason=reason, span=span), reason, confirmation,
        )  # fmt: skip

    def resume(what: What, name: str, reason: Reason = None, confirmation: Confirmation = None) -> Answer:
        """Resume a paused queue or kind."""
        return once(
            "resume", {"what": what, "name": name}, Permission.QUEUES_WRITE, lambda: f"resume the {what} {name}",
            lambda: pausing.resume(app, session.whose(), what, name, reason=reason), reason, confirmation,
        )  # fmt: skip

    def undo(action: str, reason: Reason = None, confirmation: Confirmation = None) -> Answer:
        """Undo an action of the audit, by its id; runs that have moved since are skipped."""
        planned = plan_undo(app, session.whose(), action)
        return once(
            "undo", {"action": str(planned["id"])}, Permission.AUDIT_READ,
            lambda: {"undo": planned["verb"], "target": planned["target"], "changed": planned["done"]},
            lambda: carry_out_undo(app, session.whose(), planned, reason=reason), reason, confirmation,
        )  # fmt: skip

    for tool in (replay, cancel, purge, restore, pause, resume, undo):
        server.add_tool(with_tool_errors(tool), annotations=ACTS)


def _dry_run(token: str, **shown: Any) -> Answer:
    answer: Answer = jsonable({"dry_run": True, **shown})
    return {**answer, "confirmation": token, "confirm_within_seconds": LASTS_SECONDS}


def _done(**values: Any) -> Answer:
    answer: Answer = jsonable({"dry_run": False, **values})
    return answer
