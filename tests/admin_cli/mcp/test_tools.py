"""The tools for agents, called by the SDK's own client: they explain, show dry runs, and act only when confirmed."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest

pytest.importorskip("mcp")

from mcp import Client, StdioServerParameters, stdio_client

from admin_cli.mcp.confirmations import LASTS_SECONDS
from admin_cli.mcp.server import by_role, by_the_token, make_server
from jobs import Job, Retry
from jobs.definition.redaction import HIDDEN
from jobs.operations.access.tokens import create_token, revoke_token
from jobs.operations.access.users import create_user
from jobs.operations.audit.actions import list_actions
from jobs.operations.audit.operator import ROLES, Operator, Permission
from jobs.states import RunState
from jobs.testing import Ledger
from tests.fork_server import jobledger

ADA = Operator("ada@desk")
READS = {"status", "list", "show", "why", "logs", "errors", "forecast", "compat"}
ACTS = {"replay", "cancel", "purge", "restore", "pause", "resume", "undo"}


class AskedByAgent(Job, queue="agents", retry=Retry(max_attempts=1)):
    card: str = "4711"

    def perform(self) -> None:
        self.run.log("charging %s", self.card)
        raise ValueError("declined")


@pytest.fixture
def ledger(sqlite_url: str) -> Any:
    with Ledger(sqlite_url) as ledger:
        yield ledger


Call = Callable[..., Coroutine[Any, Any, tuple[bool, Any]]]


def with_tools(server: Any, story: Callable[[Call, Client], Coroutine[Any, Any, None]]) -> None:
    """Tell a story to a client of ``server``; ``call`` returns whether a tool refused, and its answer."""

    async def main() -> None:
        async with Client(server) as client:

            async def call(tool: str, /, **arguments: Any) -> tuple[bool, Any]:
                result = await client.call_tool(tool, arguments)
                if result.is_error:
                    return True, " ".join(getattr(one, "text", "") for one in result.content)
                return False, result.structured_content or json.loads(result.content[0].text)  # type: ignore[union-attr]

            await story(call, client)

    asyncio.run(main())


def test_an_agent_explains_a_dead_run_and_replays_it_only_with_the_confirmation_of_its_dry_run(ledger: Ledger) -> None:
    run = ledger.perform(AskedByAgent()).run
    short = str(run.id)[-8:]

    async def story(call: Call, client: Client) -> None:
        tools = {one.name: one for one in (await client.list_tools()).tools}
        assert set(tools) == READS | ACTS
        assert {name for name, one in tools.items() if one.annotations and one.annotations.read_only_hint} == READS
        _, status = await call("status")
        assert [one["code"] for one in status["wrong"]] == ["dead"]
        _, listed = await call("list", where="state:dead")
        assert [one["id"] for one in listed["runs"]] == [str(run.id)]
        _, why = await call("why", run=short)
        assert "ValueError" in why["sentence"]
        _, log = await call("logs", run=short)
        assert [one["text"] for one in log["log"]["lines"]] == ["charging 4711"]
        _, errors = await call("errors")
        assert errors["groups"][0]["error_type"] == "ValueError"
        _, forecast = await call("forecast")
        assert forecast["queues"][0]["drain"]["likely"] == 0
        _, compat = await call("compat", kinds=["AskedByAgent"])
        assert compat["kinds"][0]["breaks"] is False

        refused, said = await call("replay")
        assert refused
        assert "Nothing is selected" in said
        _, dry = await call("replay", ids=[short])
        assert (dry["dry_run"], dry["count"]) == (True, 1)
        _, shown = await call("show", run=short)
        assert shown["run"]["state"] == "dead", "a dry run changes nothing"
        token = dry["confirmation"]
        for wrong in ({"ids": [short], "confirmation": "no token"}, {"where": "state:dead", "confirmation": token}):
            refused, said = await call("replay", **wrong)
            assert refused
            assert "confirmation" in said
        refused, _ = await call("replay", ids=[short], confirmation=token)
        assert refused, "used up by the wrong call"
        _, dry = await call("replay", ids=[short])
        _, done = await call("replay", ids=[short], reason="card mended", confirmation=dry["confirmation"])
        assert (done["dry_run"], done["report"]["done"]) == (False, 1)
        refused, _ = await call("replay", ids=[short], confirmation=dry["confirmation"])
        assert refused, "once"

    with_tools(make_server(ledger.app, by_role(ADA, "operator")), story)

    (action,) = list_actions(ledger.app, ADA)
    assert (action["verb"], action["actor"], action["reason"]) == ("replay", "ada@desk by mcp", "card mended")


def test_a_confirmation_ends_with_its_time_and_with_another_count(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.perform(AskedByAgent())
    monotonic, ahead = ledger.app.clock.monotonic, [0.0]
    monkeypatch.setattr(ledger.app.clock, "monotonic", lambda: monotonic() + ahead[0], raising=False)

    async def story(call: Call, client: Client) -> None:
        _, dry = await call("purge", where="state:dead")
        ahead[0] = LASTS_SECONDS
        refused, said = await call("purge", where="state:dead", confirmation=dry["confirmation"])
        assert refused
        assert "too old" in said
        _, dry = await call("purge", where="state:dead")
        await asyncio.to_thread(ledger.perform, AskedByAgent())
        refused, said = await call("purge", where="state:dead", confirmation=dry["confirmation"])
        assert refused
        assert "2 runs match, and 1 was expected" in said

    with_tools(make_server(ledger.app, by_role(ADA, "admin")), story)


def test_a_viewers_token_reads_without_arguments_and_cannot_act_and_ends_at_once(ledger: Ledger) -> None:
    run = ledger.perform(AskedByAgent()).run
    create_user(ledger.app, ADA, "grace", role="viewer", password="correct horse battery staple")
    record, secret = create_token(
        ledger.app, ADA, user="grace", name="agent", permissions=sorted(ROLES["viewer"]), lasts=timedelta(days=1)
    )

    async def story(call: Call, client: Client) -> None:
        _, shown = await call("show", run=str(run.id))
        assert shown["run"]["arguments"] == HIDDEN
        acts: list[tuple[str, dict[str, Any]]] = [
            *((name, {"ids": [str(run.id)]}) for name in ("replay", "cancel", "purge", "restore")),
            *((name, {"what": "queue", "name": "agents"}) for name in ("pause", "resume")),
            ("undo", {"action": str(run.id)}),
        ]
        for name, arguments in acts:
            refused, said = await call(name, **arguments)
            assert refused, name
            assert "permission" in said, name
        revoke_token(ledger.app, ADA, record.id)
        refused, said = await call("status")
        assert refused
        assert "token" in said

    with_tools(make_server(ledger.app, by_the_token(ledger.app, secret)), story)
    assert Permission.RUNS_REPLAY not in ROLES["viewer"]


def test_a_pause_is_shown_confirmed_and_undone(ledger: Ledger) -> None:
    ledger.perform(AskedByAgent())

    async def story(call: Call, client: Client) -> None:
        asked = {"what": "queue", "name": "agents", "minutes": 5, "reason": "provider is down"}
        _, dry = await call("pause", **asked)
        assert dry["would"] == "pause the queue agents; running runs go on"
        _, done = await call("pause", **asked, confirmation=dry["confirmation"])
        assert done["result"]["pause_reason"] == "provider is down"
        action = str(list_actions(ledger.app, ADA)[0]["id"])
        _, dry = await call("undo", action=action)
        _, done = await call("undo", action=action, confirmation=dry["confirmation"])
        assert done["result"]["done"] == 1

    with_tools(make_server(ledger.app, by_role(ADA, "operator")), story)


def test_the_command_speaks_to_a_client_that_starts_it(ledger: Ledger, sqlite_url: str) -> None:
    run = ledger.perform(AskedByAgent()).run
    environment = {"JOBS_DATABASE_URL": sqlite_url, "PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.environ["PATH"]}
    program, *args = [*jobledger(), "mcp", "--role", "viewer"]
    server = StdioServerParameters(command=program, args=args, env=environment)

    async def story(call: Call, client: Client) -> None:
        _, why = await call("why", run=str(run.id))
        assert why["state"] == RunState.DEAD.value
        refused, _ = await call("replay", ids=[str(run.id)])
        assert refused

    with_tools(stdio_client(server), story)
