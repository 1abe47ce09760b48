"""Health: the parts of the platform, each with whether it is well; and this server's settings, secrets hidden."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from admin_api.house import TheHouse
from admin_api.pages.door import Visitor
from admin_api.pages.keep import keep
from admin_api.pages.render import page
from admin_api.prefix import PrefixRoute
from jobs.operations.health import look
from jobs.operations.operator import Permission
from jobs.settings import Settings, show

router = APIRouter(route_class=PrefixRoute, include_in_schema=False)


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
