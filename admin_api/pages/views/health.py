"""Health: the state of each part of the platform, and this server's settings without secrets."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import Response

from admin_api.http.state import CurrentState
from admin_api.pages.frame.cacheable import cacheable
from admin_api.pages.frame.page_auth import Visitor
from admin_api.pages.frame.render import page
from admin_api.pages.frame.router import page_router
from jobs.operations.audit.operator import Permission
from jobs.operations.insight.health import look
from jobs.settings import Settings, show

router = page_router()


@router.get("/health")
@cacheable
def show_health(request: Request, api_state: CurrentState, visitor: Visitor) -> Response:
    app = api_state.app
    settings = app.settings
    # Addresses and settings are for admins only.
    shown = (
        [(name, show(name, getattr(settings, name))) for name in Settings.model_fields]
        if visitor.operator.may(Permission.USERS_WRITE)
        else []
    )
    return page(request, "health.html", identity=visitor, parts=look(app, visitor.operator), settings=shown)
