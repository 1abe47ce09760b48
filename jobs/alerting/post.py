"""Posts a message to a checked address, once.

Redirects are not followed, the whole exchange has a time limit, and of the response only a part is read.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import SplitResult

from jobs.alerting.guard import AddressGuard, NotDelivered

LIMIT_SECONDS = 10.0
"""Time limit of the whole exchange. Source: decision; an alert is small, and the job has 30 s."""
MAX_RESPONSE = 4096
"""Bytes of a response that are read."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What the receiver answered; ``retry_after`` if it asked for a wait."""

    status: int
    retry_after: timedelta | None

    def check(self) -> None:
        """Raises NotDelivered: it did not accept the message."""
        if 300 <= self.status < 400:
            raise NotDelivered(f"The receiver answered {self.status}: redirects are not followed.")
        if not 200 <= self.status < 300:
            raise NotDelivered(f"The receiver answered {self.status}.")


def post(
    url: str, body: bytes, headers: Mapping[str, str], *, guard: AddressGuard, limit_seconds: float = LIMIT_SECONDS
) -> HttpAnswer:
    """Post ``body`` once.

    Raises:
        TargetRefused: the target must not be reached.
        NotDelivered: it does not answer as HTTP, or not in time.
    """
    parts = guard.check_url(url)
    connection = _Checked(parts, guard.addresses(parts), limit_seconds)
    timer = threading.Timer(limit_seconds, connection.abort)
    timer.daemon = True
    timer.start()
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("POST", path, body=body, headers={**headers, "User-Agent": "jobledger"})
        response = connection.getresponse()
        response.read(MAX_RESPONSE)
        if connection.is_aborted:
            # The headers that had come until then may look like a response.
            raise OSError("aborted")
        return HttpAnswer(response.status, _retry_after(response))
    except (OSError, http.client.HTTPException) as error:
        why = (
            f"it took longer than {limit_seconds:g} s"
            if connection.is_aborted or isinstance(error, TimeoutError)
            else _why(error)
        )
        raise NotDelivered(f"The receiver at {parts.hostname} did not answer: {why}.") from error
    finally:
        timer.cancel()
        connection.close()


class _Checked(http.client.HTTPConnection):
    """A connection to checked addresses. A certificate must be the host's."""

    def __init__(self, parts: SplitResult, addresses: list[tuple[int, tuple[str, int]]], seconds: float) -> None:
        super().__init__(str(parts.hostname), parts.port or (80 if parts.scheme == "http" else 443), timeout=seconds)
        if parts.scheme == "https":
            self.default_port = 443
        self._is_tls = parts.scheme == "https"
        self._addresses = addresses
        self._seconds = seconds
        self.is_aborted = False

    def connect(self) -> None:
        failed: OSError = OSError("no address")
        for family, address in self._addresses:
            plain = socket.socket(family, socket.SOCK_STREAM)
            plain.settimeout(self._seconds)
            self.sock = plain
            try:
                plain.connect(address)
                if self._is_tls:
                    self.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=self.host)
                return
            except OSError as error:
                plain.close()
                failed = error
        raise failed

    def abort(self) -> None:
        """End the exchange from another thread."""
        self.is_aborted = True
        if self.sock is not None:
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)


def _retry_after(response: http.client.HTTPResponse) -> timedelta | None:
    """The wait that a receiver asks for; one that it writes as a date is not read."""
    asked = response.getheader("Retry-After", "")
    if response.status in (429, 503) and asked.isascii() and asked.isdigit() and len(asked) < 10:
        return timedelta(seconds=int(asked))
    return None


def _why(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)[:200]
