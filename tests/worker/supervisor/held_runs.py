"""Runs that the stand-in workers of these tests perform or have ended."""

from __future__ import annotations

from uuid import UUID

RUNS = [str(UUID(int=number)) for number in (11, 12, 13)]
