"""Imports what every process of a generation needs, before they are forked, so that they share it."""

from __future__ import annotations

import json
from importlib import import_module


def preload(settings: str) -> None:
    """Import what a worker process with these settings (as JSON) will want; 6 MB a process that it need not have."""
    wants = json.loads(settings)
    modules = ["jobs.migration.schema", "jobs.observe.metrics", "worker.process.thread_broker"]
    if wants.get("redis_url"):
        modules += ["jobs.ready.redis", "jobs.ready.guard", "encodings.idna"]
    if str(wants.get("database_url") or "").startswith("postgres"):
        modules += ["psycopg", "sqlalchemy.dialects.postgresql.psycopg"]
    for name in modules:
        import_module(name)
