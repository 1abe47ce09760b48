"""Types of settings: how a span, a size and a list are written in the environment, and which values are valid."""

from __future__ import annotations

import ipaddress
import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, PlainSerializer

from jobs.formats.duration import parse_duration
from jobs.formats.queue_weights import read_served
from jobs.formats.size import format_size, parse_size


def _span(value: Any) -> Any:
    return parse_duration(value) if isinstance(value, str) else value


def _words(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    return value


def _served(queues: tuple[str, ...]) -> tuple[str, ...]:
    read_served(queues)
    return queues


def _buckets(bounds: tuple[float, ...]) -> tuple[float, ...]:
    if any(not 0 < one < float("inf") for one in bounds) or list(bounds) != sorted(set(bounds)):
        raise ValueError("bounds must be above zero and rise: 0.1,1,10")
    return bounds


def _proxies(proxies: tuple[str, ...]) -> tuple[str, ...]:
    for one in proxies:
        try:
            network = ipaddress.ip_network(one)
        except ValueError:
            raise ValueError(f"{one!r} is not an address or a network, such as 10.0.0.5 or 10.0.0.0/24") from None
        if network.prefixlen == 0:
            raise ValueError(f"{one} would believe anyone; name your proxies")
    return proxies


def _networks(networks: tuple[str, ...]) -> tuple[str, ...]:
    for one in networks:
        try:
            ipaddress.ip_network(one, strict=False)
        except ValueError:
            raise ValueError(f"{one!r} is not a network, such as 10.0.0.0/8") from None
    return networks


def _smtp_url(url: str) -> str:
    if not re.fullmatch(r"(smtps?|smtp\+plain)://([^@/\s]+@)?[^@/\s]+", url):
        raise ValueError("is not an address like smtp://USER:PASSWORD@HOST:587")
    return url


def _schema_name(schema: str) -> str:
    # PostgreSQL silently cuts a longer name, and its driver reads a % as a placeholder.
    if not (0 < len(schema.encode()) <= 63 and "%" not in schema and schema.isprintable()):
        raise ValueError("a schema's name is printable, has 63 bytes at most and no %")
    return schema


def _store_url(url: str) -> str:
    if url != "ledger" and not re.fullmatch(r"file:///[^\0]+|s3://[a-z0-9][a-z0-9.-]{1,62}(/[^\s?#]*)?", url):
        raise ValueError("is not ledger, file:///FOLDER or s3://BUCKET/PREFIX")
    return url


def _public_url(url: str) -> str:
    if not re.fullmatch(r"https?://[^@/\s?#]+(/[^\s?#]*)?", url):
        raise ValueError("is not an address like https://jobs.example.com")
    return url


def _sentry_dsn(dsn: str) -> str:
    # Sentry's own error would show it.
    if not re.fullmatch(r"https?://[^@/:\s]+(:[^@/\s]*)?@[^/\s]+/(\S*/)?\d+", dsn):
        raise ValueError("is not a Sentry DSN: https://KEY@HOST/PROJECT")
    return dsn


Span = Annotated[
    timedelta,
    BeforeValidator(_span),
    PlainSerializer(lambda span: f"{span.total_seconds()}s", when_used="json"),
]
Keep = Annotated[
    timedelta | None,
    BeforeValidator(lambda value: None if value == "never" else _span(value)),
    PlainSerializer(lambda span: None if span is None else f"{span.total_seconds()}s", when_used="json"),
]
"""A retention time. None, written ``never``, keeps for ever."""
Size = Annotated[
    int,
    BeforeValidator(lambda value: parse_size(value) if isinstance(value, str) else value),
    PlainSerializer(format_size, when_used="json"),
]
TextList = Annotated[tuple[str, ...], BeforeValidator(_words)]
Served = Annotated[TextList, AfterValidator(_served)]
"""Queues in their order, or with weights."""
Proxies = Annotated[TextList, AfterValidator(_proxies)]
Buckets = Annotated[tuple[float, ...], BeforeValidator(_words), AfterValidator(_buckets)]
SchemaName = Annotated[str, AfterValidator(_schema_name)]
StoreUrl = Annotated[str, AfterValidator(_store_url)]
"""Where the content of stored values is."""
PublicUrl = Annotated[str, AfterValidator(_public_url)]
SentryDsn = Annotated[str, AfterValidator(_sentry_dsn)]
Networks = Annotated[TextList, AfterValidator(_networks)]
SmtpUrl = Annotated[str, AfterValidator(_smtp_url)]
Level = Annotated[
    Literal["off", "debug", "info", "warning", "error"],
    BeforeValidator(lambda level: level.lower() if isinstance(level, str) else level),
]
