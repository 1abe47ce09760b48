"""docs/agents.md: its table has every tool, and its configuration names options that exist."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest

pytest.importorskip("mcp")

from admin_cli.mcp.server import by_role, make_server
from admin_cli.serve.mcp import mcp
from jobs.operations.audit.operator import Operator
from jobs.testing import Ledger

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "agents.md").read_text()


def test_the_page_names_every_tool_and_options_that_exist(sqlite_url: str) -> None:
    with Ledger(sqlite_url) as ledger:
        server = make_server(ledger.app, by_role(Operator("ada"), "admin"))
        tools = {one.name for one in asyncio.run(server.list_tools())}

    rows = re.findall(r"^\| (`.*) \|.*\|$", PAGE, flags=re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == tools
    (text,) = re.findall(r"```json\n(.*?)```", PAGE, flags=re.DOTALL)
    words = json.loads(text)["mcpServers"]["jobledger"]["args"]
    known = {option for one in mcp.params for option in one.opts}
    assert {one for one in words if one.startswith("--")} <= known
