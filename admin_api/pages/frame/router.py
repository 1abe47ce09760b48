"""The router that page handlers are registered on."""

from __future__ import annotations

from fastapi import APIRouter

from admin_api.http.prefix_route import PrefixRoute


def page_router() -> APIRouter:
    """A router whose routes are not in the API's description."""
    return APIRouter(route_class=PrefixRoute, include_in_schema=False)
