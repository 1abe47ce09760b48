"""For applications on FastAPI: configures the ledger, runs a worker, and mounts the pages and probes.

>>> app = FastAPI(lifespan=jobs.fastapi.lifespan(worker=True, imports=["shop.tasks"]))
>>> jobs.fastapi.install(app, who=signed_in_user)

Needs the extra ``fastapi``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import Headers

from jobs import boot
from jobs.web.probes import Probes
from jobs.web.request_context import REQUEST_ID, in_request
from jobs.web.worker_process import WorkerProcess

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

Visitor = tuple[str, str] | None
Who = Callable[[Request], Visitor | Awaitable[Visitor]]
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[Any]]

__all__ = ["install", "lifespan"]


def lifespan(
    *, worker: bool = False, imports: Sequence[str] = (), inner: Lifespan | None = None, **settings: Any
) -> Lifespan:
    """The lifespan of an application that enqueues: ``FastAPI(lifespan=lifespan(…))``.

    Args:
        worker: also run a worker, in child processes of this one. It ends with the application, after the runs that it
            performs (``JOBS_SHUTDOWN``). With several server processes each has its own.
        imports: modules with jobs, for the worker; empty uses ``JOBS_IMPORTS``.
        inner: the application's own lifespan, entered once the ledger is configured.
        **settings: as for ``jobs.configure``; the environment gives the others.

    Raises:
        ConfigurationError: at start, if a setting is invalid or ``worker`` has no modules.
    """

    @asynccontextmanager
    async def run(api: FastAPI) -> AsyncIterator[Any]:
        before = boot.existing()
        app = before if before is not None and not settings else boot.configure(**settings)
        async with AsyncExitStack() as stack:
            if app is not before:
                stack.push_async_callback(run_in_threadpool, app.close)
            if worker:
                process = await run_in_threadpool(WorkerProcess, app, imports)
                stack.push_async_callback(run_in_threadpool, process.stop)
                api.state.jobs_worker = process
            pages = getattr(api.state, "jobs_pages", None)
            if pages is not None:
                stack.push_async_callback(pages.close)
            yield await stack.enter_async_context(inner(api)) if inner is not None else None

    return run


def install(api: FastAPI, *, who: Who | None = None, pages: str = "/jobs", probes: str | None = "") -> None:
    """Give requests to ``api`` a correlation id and trace, and add the pages and probes.

    Call it before the application starts.

    Args:
        who: answers the name and the role (``viewer``, ``operator``, ``admin``) of the user that sends a request, or
            None for nobody; may be ``async``. Without it there are no pages.
        pages: where the pages are mounted.
        probes: prefix of ``/healthz`` (the process lives), ``/readyz`` (the ledger answers, and the worker lives) and
            ``/metrics`` (for users whom ``who`` names, and tokens with ``runs:read``); None adds none.
    """
    api.add_middleware(_RequestMiddleware)
    if who is not None:
        from admin_api.mounted import MountedPages

        mounted = _Late(lambda: MountedPages(boot.current(), who))
        api.state.jobs_pages = mounted
        api.mount(pages, mounted)
    if probes is not None:
        api.include_router(_probes(api, who), prefix=probes)


class _RequestMiddleware:
    """Correlation id and trace of each request, for what it enqueues; the response tells the id."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        with in_request(Headers(scope=scope).get) as request_id:

            async def send_with_id(message: Message) -> None:
                if message["type"] == "http.response.start":
                    headers = message["headers"]
                    if all(name.lower() != REQUEST_ID.encode() for name, _ in headers):
                        message = {**message, "headers": [*headers, (REQUEST_ID.encode(), request_id.encode())]}
                await send(message)

            await self._inner(scope, receive, send_with_id)


class _Late:
    """The pages, made at the first request: the ledger is configured by then."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._made: Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._made is None:
            self._made = self._make()
        await self._made(scope, receive, send)

    async def close(self) -> None:
        if self._made is not None:
            made, self._made = self._made, None
            await made.close()


def _probes(api: FastAPI, who: Who | None) -> APIRouter:
    router = APIRouter(tags=["jobs"])
    shared = Probes(lambda: getattr(api.state, "jobs_worker", None))

    @router.get("/healthz", summary="Is the process alive?")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/readyz", summary="Does the ledger answer?")
    def readyz(response: Response) -> dict[str, str]:
        problem = shared.problem()
        response.status_code = 200 if problem is None else 503
        return {"status": "ok"} if problem is None else {"status": "unavailable", "problem": problem}

    @router.get("/metrics", summary="The ledger's metrics", response_class=Response)
    async def metrics(request: Request) -> Response:
        from admin_api.mounted import allows_metrics, visitor_of

        visitor = await visitor_of(who, request) if who is not None else None
        token = request.headers.get("authorization")
        if not await run_in_threadpool(allows_metrics, boot.current(), visitor, token):
            raise HTTPException(401, "Sign in, or give a token with runs:read.")
        body, kind = await run_in_threadpool(shared.metrics)
        return Response(body, media_type=kind)

    return router
