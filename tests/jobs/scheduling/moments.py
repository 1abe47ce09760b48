"""Moments in UTC, and spans, for the tests of slots."""

from __future__ import annotations

from datetime import UTC, datetime

ALL = 10**6


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
