"""A group of routes that is skipped by the beginning of the path.

Routes are asked one after another whether a request is theirs. There are a hundred, and to ask them all as they come
was a quarter of what an answer takes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope


class PrefixRoute(APIRoute):
    """A route that looks no further into a path than to where it is another's."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **given: Any) -> None:
        super().__init__(path, endpoint, **given)
        self._prefix = self.path.partition("{")[0]

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        # Mounted under another application, a path begins with that one's.
        if not scope.get("root_path") and not scope["path"].startswith(self._prefix):
            return Match.NONE, {}
        return super().matches(scope)


def install(api: FastAPI, router: APIRouter) -> None:
    """Put a router's routes on ``api`` as they are: ``include_router`` wraps them, and asks what it wraps twice."""
    api.router.routes += router.routes
