"""Runs `jobledger api serve`. It listens on this machine only, unless a proxy terminates TLS."""

from __future__ import annotations

import gc
import ipaddress
import logging
import os
import signal
import socket
from collections.abc import Callable
from functools import partial
from types import FrameType

import uvicorn

from admin_api.app import make_api
from admin_api.http.protocol import LimitedProtocol
from jobs.app import App
from jobs.errors import ConfigurationError
from jobs.interpreter import refuse_free_threading
from jobs.settings import Settings

log = logging.getLogger("jobs.api")

KEEP_ALIVE_SECONDS, GRACE_SECONDS = 30, 10
NICE = 5
"""The nice value of the process. Source: decision; on a machine with workers, runs come first, and the delay of a page
is still too short to notice."""

GARBAGE = 10_000
"""The garbage collector's threshold: new objects before it looks for cycles. Source: measured; with Python's 700 it
took a twentieth of a request's time."""


def check_place(settings: Settings) -> None:
    """Refuse to listen where passwords would be sent in clear text.

    Raises:
        ConfigurationError: the settings are unsafe; the message names what to set.
    """
    if _is_loopback(settings.api_host):
        return
    if not settings.api_behind_tls:
        raise ConfigurationError(
            f"The API would listen on {settings.api_host} without TLS.",
            hint="Use a TLS proxy and add --behind-tls (JOBS_API_BEHIND_TLS=1), or listen on 127.0.0.1.",
        )
    if settings.api_secret is None:
        raise ConfigurationError(
            "An API that others reach needs JOBS_API_SECRET, which signs its access tokens.",
            hint="Make one: python -c 'import secrets; print(secrets.token_urlsafe(48))'.",
        )
    if not settings.api_hosts:
        raise ConfigurationError(
            "An API that others reach must know its host name.", hint="Set JOBS_API_HOSTS, such as jobs.example.org."
        )


def serve(app: App, *, ready: Callable[[str], None] = lambda url: None, port: int | None = None) -> None:
    """Serve until SIGTERM or SIGINT. Calls ``ready`` with the URL once it listens.

    Args:
        port: overrides the settings' port.

    Raises:
        ConfigurationError: it must not, or cannot, listen there.
    """
    settings = app.settings
    refuse_free_threading()
    check_place(settings)
    _give_way()
    listener = listen(settings.api_host, settings.api_port if port is None else port)
    server = make_server(app)
    if settings.api_behind_tls and not settings.api_proxies:
        log.warning("JOBS_API_PROXIES is not set, so sign-ins are not limited by address")
    _freeze_loaded_modules()
    server.when_listening = partial(ready, url_of(listener))
    with listener:
        server.run(sockets=[listener])


class Server(uvicorn.Server):
    """Exits with 0 on a signal; uvicorn itself raises the signal again, and exits with 130 or 143."""

    when_listening: Callable[[], None] | None = None
    """Called once the server answers requests and signals."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.when_listening is not None and not self.should_exit:
            self.when_listening()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


def make_server(app: App) -> Server:
    """The server for ``app``; the caller passes its sockets when it runs."""
    settings = app.settings
    config = uvicorn.Config(
        make_api(app),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.api_proxies),
        forwarded_allow_ips=list(settings.api_proxies) or None,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        http=LimitedProtocol,
        ws="none",
    )
    return Server(config)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any free port."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=128)
        # Accepted connections inherit it. Without it, a body waits 40 ms for the acknowledgement of its head.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(
            f"The API cannot listen on {host}:{port}: {reason}.",
            hint="Choose another with --host and --port (JOBS_API_HOST, JOBS_API_PORT); port 0 takes any free port.",
        ) from error


def url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _give_way() -> None:
    try:
        os.nice(NICE)
    except (AttributeError, OSError):
        # Windows has no nice value, and a sandbox may refuse it.
        log.debug("The process keeps its priority", exc_info=True)


def _freeze_loaded_modules() -> None:
    """Freeze the loaded modules, so that the garbage collector looks only at objects of requests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
