"""For applications on Flask: configures the ledger, runs a worker, and serves the pages and probes.

>>> jobs.flask.install(app, who=signed_in_user, worker=True, imports=["shop.tasks"])

Needs the extra ``flask``.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, abort, jsonify, request

from jobs import boot
from jobs.web.asgi_bridge import AsgiBridge
from jobs.web.probes import Probes
from jobs.web.request_context import REQUEST_ID, in_request
from jobs.web.worker_process import WorkerProcess

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

Visitor = tuple[str, str] | None
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]

__all__ = ["install"]


def install(
    app: Flask,
    *,
    who: Callable[[], Visitor] | None = None,
    pages: str = "/jobs",
    probes: str | None = "",
    worker: bool = False,
    imports: Sequence[str] = (),
    **settings: Any,
) -> None:
    """Give requests to ``app`` a correlation id and trace, and add the pages and probes.

    Args:
        who: answers the name and the role (``viewer``, ``operator``, ``admin``) of the user that sends the current
            request, or None for nobody. Without it there are no pages.
        pages: where the pages are.
        probes: prefix of ``/healthz`` (the process lives), ``/readyz`` (the ledger answers, and the worker lives) and
            ``/metrics`` (for users whom ``who`` names, and tokens with ``runs:read``); None adds none.
        worker: also run a worker, in child processes of each server process. It starts with the first request, and ends
            with the process.
        imports: modules with jobs, for the worker; empty uses ``JOBS_IMPORTS``.
        **settings: as for ``jobs.configure``; the environment gives the others.

    Raises:
        ConfigurationError: a setting is invalid.
    """
    if settings:
        boot.configure(**settings)
    app.wsgi_app = _InRequest(app.wsgi_app)  # type: ignore[method-assign]
    beside = _Worker(imports) if worker else None
    if beside is not None:
        app.before_request(beside.start)
    bridge = AsgiBridge(_mounted)
    if who is not None:
        _add_pages(app, who, bridge, pages)
    if probes is not None:
        _add_probes(app, who, probes, beside)


class _InRequest:
    """WSGI middleware: correlation id and trace of each request, for what it enqueues; the response tells the id."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        with in_request(lambda name: environ.get(f"HTTP_{name.upper().replace('-', '_')}")) as request_id:

            def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
                if all(name.lower() != REQUEST_ID for name, _ in headers):
                    headers = [*headers, ("X-Request-ID", request_id)]
                return start_response(status, headers, *rest)

            answer: Iterable[bytes] = self._inner(environ, start)
            return answer


class _Worker:
    """The worker of this process, started once: after the server has forked."""

    def __init__(self, imports: Sequence[str]) -> None:
        self._imports = imports
        self._lock = threading.Lock()
        self.process: WorkerProcess | None = None

    def start(self) -> None:
        if self.process is None:
            with self._lock:
                if self.process is None:
                    self.process = WorkerProcess(boot.current(), self._imports)
                    atexit.register(self.process.stop)


def _mounted() -> Any:
    from admin_api.mounted import MountedPages

    return MountedPages(boot.current(), lambda asked: asked.scope["jobs_visitor"])


def _add_pages(app: Flask, who: Callable[[], Visitor], bridge: AsgiBridge, root: str) -> None:
    def jobs_pages(rest: str = "") -> ResponseReturnValue:
        # Asked here, where the application's session and user are known.
        answer = bridge.call(
            request.method,
            request.path,
            root,
            request.query_string,
            request.headers,
            request.get_data(),
            jobs_visitor=who(),
            scheme=request.scheme,
            client=(request.remote_addr, 0) if request.remote_addr else None,
        )
        return Response(answer.body, answer.status, answer.headers)

    app.add_url_rule(f"{root}/", "jobs_pages", jobs_pages, methods=METHODS)
    app.add_url_rule(f"{root}/<path:rest>", "jobs_pages", jobs_pages, methods=METHODS)


def _add_probes(app: Flask, who: Callable[[], Visitor] | None, prefix: str, beside: _Worker | None) -> None:
    shared = Probes(lambda: beside.process if beside is not None else None)

    def jobs_healthz() -> ResponseReturnValue:
        return jsonify(status="ok")

    def jobs_readyz() -> ResponseReturnValue:
        problem = shared.problem()
        if problem is None:
            return jsonify(status="ok")
        return jsonify(status="unavailable", problem=problem), 503

    def jobs_metrics() -> ResponseReturnValue:
        from admin_api.mounted import allows_metrics

        if not allows_metrics(boot.current(), who() if who is not None else None, request.headers.get("authorization")):
            abort(401)
        body, kind = shared.metrics()
        return Response(body, content_type=kind)

    for name, view in (("healthz", jobs_healthz), ("readyz", jobs_readyz), ("metrics", jobs_metrics)):
        app.add_url_rule(f"{prefix}/{name}", f"jobs_{name}", view)
