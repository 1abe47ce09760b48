"""Types of settings: how a span, a retention time, a size and a list are written in the environment."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

from jobs.formats.duration import parse_duration
from jobs.formats.size import format_size, parse_size


def _span(value: Any) -> Any:
    return parse_duration(value) if isinstance(value, str) else value


def _words(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    return value


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
Words = Annotated[tuple[str, ...], BeforeValidator(_words)]
Numbers = Annotated[tuple[float, ...], BeforeValidator(_words)]
