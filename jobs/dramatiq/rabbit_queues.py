"""Reads and acknowledges the messages of dramatiq's RabbitmqBroker, without dramatiq.

A queue has its messages under its name, delayed ones under ``NAME.DQ``, and dead letters under ``NAME.XQ``. A message
that was read and not acknowledged returns to its place when its channel ends, however this process ends. RabbitMQ does
not list its queues to clients, so the caller names them. Needs the extra ``rabbitmq``.
"""

from __future__ import annotations

import hashlib
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import pika
from pika import exceptions

from jobs.clock import Clock
from jobs.errors import ConfigurationError, JobsError, ServiceDown
from jobs.formats.redact import mask, redact_url
from jobs.ready.dramatiq_queues import OldQueue

CONNECT_WITHIN_SECONDS = 5
HEARTBEAT_SECONDS = 10
"""A server that is silent for longer counts as down, whatever call waits for it. Source: decision."""
DELAYED, DEAD = ".DQ", ".XQ"
# It logs what it also raises.
logging.getLogger("pika").setLevel(logging.CRITICAL)


class RabbitQueues:
    """The queues of one virtual host of a RabbitMQ server.

    Args:
        names: the queues, without those of delayed and dead messages.

    Raises:
        ConfigurationError: not the URL of a RabbitMQ server.
        ServiceDown: it does not answer, or refuses us.
    """

    def __init__(self, url: str, *, names: Iterable[str], clock: Clock) -> None:
        self.shown = redact_url(url)
        self._names = sorted({name.removesuffix(DELAYED).removesuffix(DEAD) for name in names})
        self._clock = clock
        try:
            given = pika.URLParameters(url)
        except (ValueError, TypeError, KeyError):
            # Not `from err`: the parser's message quotes the text, which may be a password.
            raise ConfigurationError(
                f"{self.shown} cannot be read as the URL of a RabbitMQ server.",
                hint="Write amqp://user:password@host:5672/vhost, or amqps:// for TLS.",
            ) from None
        given.connection_attempts, given.heartbeat = 1, HEARTBEAT_SECONDS
        given.socket_timeout = given.stack_timeout = CONNECT_WITHIN_SECONDS
        given.blocked_connection_timeout = HEARTBEAT_SECONDS
        self.namespace = f"{given.host}:{given.port}/{given.virtual_host}"
        self._password = given.credentials.password
        with self._translated():
            self._connection = pika.BlockingConnection(given)
        self._channel: Any = None
        self._tags: dict[tuple[str, bytes], list[int]] = defaultdict(list)
        """The deliveries of each message that was read and is not acknowledged, by queue and id."""

    def wrong_keys(self) -> list[tuple[str, str, str]]:
        return []

    def take_back(self, *, now: datetime) -> int:
        # The server itself returns what a dead worker had fetched.
        return 0

    def queues(self) -> list[OldQueue]:
        found = []
        for name in self._names:
            (waiting, readers), (dead, _) = self._count(name), self._count(name + DEAD)
            delayed, more_readers = self._count(name + DELAYED)
            found.append(OldQueue(name, waiting, 0, dead, readers))
            found.append(OldQueue(name + DELAYED, delayed, 0, 0, more_readers))
        return [one for one in found if one.waiting or one.dead or one.readers]

    def take(self, name: str, *, skip: int, count: int) -> list[tuple[bytes, bytes | None]]:
        return [(one, body) for one, body, _ in self._read(name, count)]

    look = take
    """The server passes over what was read and not acknowledged."""

    def drop(self, name: str, ids: Sequence[bytes]) -> None:
        with self._translated():
            for one in ids:
                for tag in self._tags.pop((name, one), ()):
                    self._channel.basic_ack(tag)
            # Waits for the answer, which the server sends after it has taken the acknowledgements.
            self._channel.basic_qos(prefetch_count=0)

    def give_back(self, name: str) -> None:
        with self._translated():
            if self._channel is not None:
                self._channel.close()
        self._channel = None
        self._tags.clear()

    def dead(self, name: str, *, skip: int, count: int) -> list[tuple[bytes, bytes | None, float]]:
        return [(one, body, self._died(properties)) for one, body, properties in self._read(name + DEAD, count)]

    def drop_dead(self, name: str, ids: Sequence[bytes]) -> None:
        self.drop(name + DEAD, ids)

    def close(self) -> None:
        # If it fails the connection is lost, and the server returns the messages by itself.
        with suppress(exceptions.AMQPError, OSError):
            self._connection.close()

    def _read(self, name: str, count: int) -> list[tuple[bytes, bytes, Any]]:
        found: list[tuple[bytes, bytes, Any]] = []
        with self._translated():
            channel = self._open()
            while len(found) < count:
                method, properties, body = channel.basic_get(name)
                if method is None:
                    break
                # Not dramatiq's own id: a message that waits for its retry has the id of the first try.
                one = hashlib.blake2b(body, digest_size=16).hexdigest().encode()
                self._tags[name, one].append(method.delivery_tag)
                found.append((one, body, properties))
        return found

    def _count(self, name: str) -> tuple[int, int]:
        """The messages that wait in a queue, and its consumers; none if it does not exist."""
        with self._translated():
            try:
                declared = self._open().queue_declare(name, passive=True).method
            except exceptions.ChannelClosedByBroker as error:
                self._channel = None
                if error.reply_code == _NOT_FOUND:
                    return 0, 0
                raise
        return declared.message_count, declared.consumer_count

    def _open(self) -> Any:
        if self._channel is None:
            self._channel = self._connection.channel()
        return self._channel

    def _died(self, properties: Any) -> float:
        """When the server made the message a dead letter, in milliseconds; now, if it does not say."""
        deaths = (properties.headers or {}).get("x-death") or [{}]
        moment = deaths[0].get("time") if isinstance(deaths[0], dict) else None
        at = moment.replace(tzinfo=UTC) if isinstance(moment, datetime) else self._clock.now()
        return at.timestamp() * 1000

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (exceptions.AMQPError, OSError) as error:
            raise self._down(error) from error

    def _down(self, error: Exception) -> JobsError:
        text = mask(str(error) or type(error).__name__, self._password)[:200].rstrip(".")
        if isinstance(error, _REFUSALS):
            return ServiceDown(f"RabbitMQ at {self.shown} refuses us: {text}.", hint=_RIGHTS)
        hint = "Check that it runs, and the URL. What is not in the ledger is still in RabbitMQ: import again."
        return ServiceDown(f"RabbitMQ at {self.shown} cannot be reached: {text}.", hint=hint)


_NOT_FOUND = 404
_REFUSALS = (
    exceptions.AuthenticationError,
    exceptions.ProbableAuthenticationError,
    exceptions.ProbableAccessDeniedError,
    exceptions.ConnectionClosedByBroker,
    exceptions.ChannelClosedByBroker,
)
_RIGHTS = "Check the user, the password and the virtual host. The user needs the right to read."
