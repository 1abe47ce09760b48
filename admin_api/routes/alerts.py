"""Receivers of alerts: list, add, remove and test them."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Response

from admin_api.http.access import By
from admin_api.http.envelope import Envelope
from admin_api.http.paging import Paging, page
from admin_api.http.route import Route
from admin_api.http.state import Ledger
from admin_api.shapes.alerts import AlertRoute, AlertTest, NewAlertRoute
from admin_api.shapes.base import Because
from jobs.operations.control import alert_routes

router = APIRouter(prefix="/v1/alert-routes", tags=["alerts"], route_class=Route)


@router.get("", summary="List receivers of alerts")
def list_alert_routes(app: Ledger, by: By, paging: Annotated[Paging, Query()]) -> Envelope[list[AlertRoute]]:
    """By name."""
    found = [one for one in alert_routes.list_routes(app, by) if one.name > (paging.after_text or "")]
    return page(found, paging, AlertRoute.model_validate, place=lambda one: one.name)


@router.post("", summary="Add a receiver of alerts", status_code=201)
def create_alert_route(app: Ledger, by: By, body: NewAlertRoute) -> Envelope[AlertRoute]:
    """Workers deliver to it. 409 if there is one of this name."""
    made = alert_routes.add_route(
        app, by, body.kind, topics=body.topics, target=body.target, target_env=body.target_env,
        secret_env=body.secret_env, group=timedelta(seconds=body.group_seconds), name=body.name, reason=body.reason,
    )  # fmt: skip
    return Envelope(data=AlertRoute.model_validate(made))


@router.delete("/{name}", summary="Remove a receiver of alerts", status_code=204)
def remove_alert_route(app: Ledger, by: By, name: str, because: Annotated[Because, Query()]) -> Response:
    """What is on its way is called off."""
    alert_routes.remove_route(app, by, name, reason=because.reason)
    return Response(status_code=204)


@router.post("/{name}/tests", summary="Send a test to a receiver of alerts", status_code=201)
def create_alert_test(app: Ledger, by: By, name: str, because: Annotated[Because, Query()]) -> Envelope[AlertTest]:
    """A worker delivers it, like an alert."""
    return Envelope(data=AlertTest(run_id=alert_routes.send_test(app, by, name, reason=because.reason)))
