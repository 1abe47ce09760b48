"""What every tool shares: the App, who asks, and errors as the protocol wants them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec

from mcp.server.mcpserver.exceptions import ToolError

from admin_cli.mcp.confirmations import Confirmations
from jobs.app import App
from jobs.errors import JobsError
from jobs.operations.audit.operator import Operator

P = ParamSpec("P")
Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class McpSession:
    """``whose`` says who asks. It is called for every call, so that a revoked token ends at once."""

    app: App
    whose: Callable[[], Operator]
    confirmations: Confirmations


def with_tool_errors(fn: Callable[P, Answer]) -> Callable[P, Answer]:
    """``fn`` with our errors as errors of the tool: what, why, what to do, and the code."""

    @functools.wraps(fn)
    def call(*args: P.args, **kwargs: P.kwargs) -> Answer:
        try:
            return fn(*args, **kwargs)
        except JobsError as error:
            hint = f" {error.hint}" if error.hint else ""
            raise ToolError(f"{error.message}{hint} [{error.code}]") from error

    return call
