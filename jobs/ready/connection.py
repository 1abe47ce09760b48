"""The connections to Redis: every wait has a limit, no command is repeated, all errors are ``ServiceDown``."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

from redis import ConnectionPool, exceptions
from redis.backoff import NoBackoff
from redis.connection import Connection, ConnectionInterface
from redis.retry import Retry

from jobs.errors import ConfigurationError, JobsError, ServiceDown
from jobs.formats.redact import mask, redact_url
from jobs.ready.url import connection_options

CONNECT_WITHIN_SECONDS = 2.0
ANSWER_WITHIN_SECONDS = 1.0
"""A server that does not answer within this counts as down.

Source: decision; an answer takes well under a millisecond.
"""

_LIMITS = {
    "socket_connect_timeout": CONNECT_WITHIN_SECONDS,
    "socket_timeout": ANSWER_WITHIN_SECONDS,
    "socket_keepalive": True,
}


_RIGHTS = "Check user and password in JOBS_REDIS_URL, and the rights that docs/postgresql.md names under Redis."


class Script:
    """A Lua script of this package, which the server knows by its digest."""

    def __init__(self, name: str) -> None:
        self.text = files("jobs.ready").joinpath(name).read_bytes()
        self.digest = hashlib.sha1(self.text, usedforsecurity=False).hexdigest()


class Connections:
    """Sends commands to one server. Connects at first use; after an error, and after a fork, connects again.

    Args:
        named_by: where users wrote the URL, for error messages.
    """

    def __init__(self, url: str, *, named_by: str = "JOBS_REDIS_URL") -> None:
        self.shown = redact_url(url)
        self._named_by = named_by
        options = connection_options(url)
        is_socket = "path" in options
        limits = {name: value for name, value in _LIMITS.items() if not (is_socket and "keepalive" in name)}
        # The library would repeat a command ten times when an answer is late: a take whose answer was lost would take
        # twice.
        fixed = {"retry": Retry(NoBackoff(), 0), "retry_on_timeout": False, "retry_on_error": []}
        # No CLIENT SETINFO on connecting, because a user with few rights may not send it.
        fixed |= {"protocol": 2, "decode_responses": False, "driver_info": None}
        self._password = options.get("password")
        options = {"connection_class": Connection, **limits, **options, **fixed}
        try:
            self._pool = ConnectionPool(**options)
            self._pool.make_connection()
        except (TypeError, ValueError, exceptions.RedisError):
            hint = "Options after ? must be ones that redis-py knows, such as ssl_ca_certs=/path."
            raise ConfigurationError(f"{self.shown} has an option that is not valid.", hint=hint) from None

    def call(self, *command: Any) -> Any:
        """The server's answer to one command.

        Raises:
            ServiceDown: there is none, or it refuses.
        """
        with self.pending(*command) as connection:
            return connection.read_response()

    def run(self, script: Script, keys: list[bytes], arguments: list[Any]) -> Any:
        """The answer of ``script``, which is sent in full if the server does not know it."""
        try:
            return self.call("EVALSHA", script.digest, len(keys), *keys, *arguments)
        except ServiceDown as down:
            if not isinstance(down.__cause__, exceptions.NoScriptError):
                raise
        return self.call("EVAL", script.text, len(keys), *keys, *arguments)

    @contextmanager
    def pending(self, *command: Any) -> Iterator[ConnectionInterface]:
        """Send a command; the caller reads its answer. If it does not, the connection is closed."""
        connection = None
        try:
            connection = self._pool.get_connection()
            connection.send_command(*command)  # type: ignore[no-untyped-call]
            yield connection
        except exceptions.ResponseError as err:
            raise self._translate(err) from err  # an error reply: the connection is as good as before
        except (exceptions.RedisError, OSError, ValueError) as err:  # ValueError: closed during the read
            self._drop(connection)
            raise self._translate(err) from err
        except BaseException:
            self._drop(connection)
            raise
        finally:
            if connection is not None:
                self._pool.release(connection)

    def close(self) -> None:
        self._pool.disconnect()

    def _drop(self, connection: ConnectionInterface | None) -> None:
        if connection is not None:
            connection.disconnect()  # type: ignore[no-untyped-call]
        self._pool.disconnect(inuse_connections=False)  # the cause also broke the idle connections

    def _translate(self, err: Exception) -> JobsError:
        what, hint = _reason(err)
        hint = hint.replace("JOBS_REDIS_URL", self._named_by)
        return ServiceDown(f"Redis at {self.shown} {mask(what, self._password).rstrip('.')}.", hint=hint)


def _reason(err: Exception) -> tuple[str, str]:
    refused = (exceptions.AuthenticationError, exceptions.NoPermissionError)
    text = str(err)
    if isinstance(err, refused) or text.startswith(("NOAUTH", "WRONGPASS", "NOPERM")):
        return (
            f"refuses us: {text}",
            _RIGHTS,
        )
    if isinstance(err, exceptions.TimeoutError):
        return "does not answer in time", "Is it overloaded, frozen, or behind a firewall? The runs are safe."
    if isinstance(err, exceptions.OutOfMemoryError):
        return "is at its memory limit", "Raise its maxmemory, or find what fills it. The runs are safe."
    if isinstance(err, (exceptions.ReadOnlyError, exceptions.AskError, exceptions.ClusterError)):
        hint = "Name the primary, or a proxy or service address that leads to it."
        return f"is a replica or part of a Cluster, which is not supported: {text}", hint
    if isinstance(err, exceptions.ResponseError):
        return (
            f"refuses a command: {text}",
            "It must be Redis 6.2 or newer, or Valkey, and the key prefix ours.",
        )
    return (
        f"cannot be reached: {text}",
        "Check that it runs and that JOBS_REDIS_URL names it. The runs are safe.",
    )
