"""The ledger's own pages in a Django project: ``path("jobs/", include("jobs.django.urls"))``.

Staff see them, signed in by Django; what each may do there, Django's permissions say. The same view serves projects on
WSGI and on ASGI. Needs the extra ``web``.
"""

from __future__ import annotations

import threading
from typing import Any
from urllib.parse import urlsplit

from django.conf import global_settings, settings
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import NoReverseMatch, re_path, reverse
from django.views.decorators.csrf import csrf_exempt

from jobs.app import App
from jobs.django import ledger
from jobs.django.permissions import APP, operator_of
from jobs.operations.audit.operator import Operator
from jobs.web.asgi_bridge import AsgiBridge, BridgeAnswer


class _Bridge:
    """The pages of the App of this process, made with the first request."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: tuple[App, AsgiBridge] | None = None

    def to(self, app: App) -> AsgiBridge:
        with self._lock:
            if self._made is None or self._made[0] is not app:
                self._made = app, AsgiBridge(lambda: _mounted(app))
                app.before_close.append(self._made[1].close)
            return self._made[1]


_bridge = _Bridge()


# The pages check themselves that a form comes from a page of this site, by headers that no other site can forge. They
# write over connections of their own, which a transaction around the request would lock out on SQLite.
@csrf_exempt
@login_not_required
@transaction.non_atomic_requests
def pages(request: HttpRequest, rest: str) -> HttpResponse:
    """One request to the pages, or, with a token of the ledger, to its API.

    Raises:
        PermissionDenied: the user is not staff, or may not see runs.
        ImproperlyConfigured: Django's authentication is not installed.
    """
    user = getattr(request, "user", None)
    if user is None:
        raise ImproperlyConfigured("The pages of jobs need django.contrib.auth and its AuthenticationMiddleware.")
    may = user.is_active and user.is_staff and user.has_perm(f"{APP}.view_run")
    answer = _send(request, rest, operator_of(user) if may else None)
    # Styles, callbacks of runs and programs with a token need no user.
    if may or answer.status != 401 or "Authorization" in request.headers:
        return _response(answer)
    if user.is_authenticated:
        raise PermissionDenied(f"These pages are for staff with the permission {APP}.view_run.")
    return _ask(request, rest)


def _send(request: HttpRequest, rest: str, visitor: Operator | None) -> BridgeAnswer:
    headers = dict(request.headers.items())
    # Checked against ALLOWED_HOSTS, and as the browser sees it behind a proxy: forms are compared with it.
    headers["Host"] = request.get_host()
    return _bridge.to(ledger.current().app).call(
        request.method or "GET",
        request.path,
        _root(request, rest),
        request.META.get("QUERY_STRING", "").encode("latin-1"),
        headers.items(),
        request.body,
        jobs_visitor=visitor,
        scheme=request.scheme,
        client=(request.META["REMOTE_ADDR"], 0) if request.META.get("REMOTE_ADDR") else None,
    )


def _response(answer: BridgeAnswer) -> HttpResponse:
    response = HttpResponse(answer.body, status=answer.status)
    del response.headers["Content-Type"]
    for name, value in answer.headers:
        if name == "set-cookie":
            response.cookies.load(value)
        else:
            response.headers[name] = value
    return response


def _ask(request: HttpRequest, rest: str) -> HttpResponse:
    """Redirect to where Django signs its users in, which returns here."""
    is_part = request.headers.get("HX-Request") == "true"
    seen = urlsplit(request.headers.get("HX-Current-URL", "")).path if is_part else request.get_full_path()
    back = seen if request.method == "GET" and seen.startswith("/") else f"{_root(request, rest)}/"
    asked = redirect_to_login(back, _sign_in_page())
    if is_part:
        # A redirect would put the sign-in page into a part of the page.
        return HttpResponse(headers={"HX-Redirect": asked.url})
    return asked


def _sign_in_page() -> str | None:
    """The address of the admin's sign-in page, unless the project names another; None means LOGIN_URL."""
    if global_settings.LOGIN_URL != settings.LOGIN_URL:
        return None
    try:
        return str(reverse("admin:login"))
    except NoReverseMatch:
        return None


def _root(request: HttpRequest, rest: str) -> str:
    path: str = request.path
    return path.removesuffix(rest).rstrip("/")


def _mounted(app: App) -> Any:
    try:
        from admin_api.mounted import MountedPages
    except ModuleNotFoundError as error:
        raise ImproperlyConfigured(
            f"The pages of jobs need {error.name}: pip install 'jobledger[django,web]'."
        ) from error

    return MountedPages(app, lambda asked: asked.scope["jobs_visitor"])


app_name = "jobs"
urlpatterns = [re_path(r"^(?P<rest>.*)$", pages, name="pages")]
