"""Health: the parts of the platform, each with whether it is well; and this server's settings, secrets hidden."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import Response

from admin_api.house import TheHouse
from admin_api.pages.door import Visitor
from admin_api.pages.keep import keep
from admin_api.pages.render import page
from admin_api.pages.router import page_router
from jobs.operations.health import look
from jobs.operations.operator import Permission
from jobs.settings import Settings, show

router = page_router()


@router.get("/health")
@keep
def show_health(request: Request, house: TheHouse, visitor: Visitor) -> Response:
    app = house.app
    settings = app.settings
    # Where things are is for those who run them.
    shown = (
        [(name, show(name, getattr(settings, name))) for name in Settings.model_fields]
        if visitor.operator.may(Permission.USERS_WRITE)
        else []
    )
    return page(request, "health.html", identity=visitor, parts=look(app, visitor.operator), settings=shown)
