"""Preload: what every process of a generation will import, imported before they are forked, and so shared by them."""

from __future__ import annotations

import json
from importlib import import_module


def preload(settings: str) -> None:
    """Import what a worker process with these settings (as JSON) will want; 6 MB a process that it need not have."""
    wants = json.loads(settings)
    modules = ["jobs.schema", "jobs.observe.metrics", "worker.thread_broker"]
    if wants.get("redis_url"):
        modules += ["jobs.ready.redis", "jobs.ready.guard", "encodings.idna"]
    if str(wants.get("database_url") or "").startswith("postgres"):
        modules += ["psycopg", "sqlalchemy.dialects.postgresql.psycopg"]
    for name in modules:
        import_module(name)
