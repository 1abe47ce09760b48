"""Writes docs/configuration.md from the settings themselves."""

from __future__ import annotations

from datetime import timedelta
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from jobs.formats.setting_types import Size
from jobs.settings import PREFIX, SECRETS, Settings, show

_INTRO = """# Configuration

Every setting is an environment variable. All are read once, when a process starts, and every mistake is reported
together; a `JOBS_` variable that is not a setting causes a warning with the nearest name. Spans are written as `30s`,
`5m` or `1h`; a bare number is seconds. Lists are separated by commas. Yes is `1` and no is `0`.

Precedence, highest first: an option of the command, the environment, the file that a `_FILE` variable names, and,
for `jobledger dev` only, a file `.env` in the current folder. `jobledger config show --origin` shows each value
and its origin, with secrets hidden.

A setting marked *secret* may be read from a file: `JOBS_DATABASE_URL_FILE=/run/secrets/database`. Setting both
variables is a mistake.

An application's processes and the workers must name the same database, and the same Redis. Without
`JOBS_DATABASE_URL` a process uses the `jobs.db` of its own folder if `dev`, `demo` or `migrate up` made one there;
otherwise `enqueue` raises an error, because no worker would find the run.

`jobledger config reference` writes this page.

| setting | type | default | read by | what it is |
| --- | --- | --- | --- | --- |
"""

_READ_BY = {
    "imports": "workers",
    "release": "workers",
    "queues": "workers",
    "processes": "workers",
    "threads": "workers",
    "async_concurrency": "workers",
    "shutdown": "workers",
    "lease": "workers",
    "hard_after": "workers",
    "poison_after": "workers",
    "unknown_kind_wait": "workers",
    "overdue_after": "workers",
    "retain_succeeded": "workers, scheduler",
    "retain_cancelled": "workers, scheduler",
    "retain_dead": "workers, scheduler",
    "retain_purged": "workers, scheduler",
    "retain_slots": "workers, scheduler",
    "retain_audit": "workers, scheduler",
    "max_argument_bytes": "applications",
    "seal_keys_file": "applications, workers",
    "store_above": "applications, workers",
    "max_result_bytes": "workers",
    "log_starts": "workers",
    "capture_logs": "workers",
    "max_log_bytes": "workers",
    "max_log_rate": "workers",
    "metrics_port": "workers",
    "alert_networks": "workers",
    "alert_smtp_url": "workers",
    "alert_from": "workers",
    "api_host": "api",
    "api_port": "api",
    "api_behind_tls": "api",
    "public_url": "workers",
    "api_hosts": "api",
    "api_proxies": "api",
    "api_secret": "api",
    "api_read_only": "api",
    "mcp_token": "mcp",
    "metrics_buckets": "workers",
    "ledger_metrics_port": "scheduler, metrics serve",
    "metrics_timeout": "scheduler, metrics serve",
    "metrics_cache": "scheduler, metrics serve",
    "latency_target": "scheduler, metrics serve",
    "metrics_host": "workers, scheduler, metrics serve",
    "sentry_dsn": "workers, scheduler",
    "sentry_environment": "workers, scheduler",
    "sentry_retry_level": "workers, scheduler",
    "sentry_traces": "workers",
    "sentry_crons": "workers, scheduler",
    "sentry_arguments": "workers",
    "otel_metrics": "workers, scheduler",
}
"""The processes that read a setting; every process reads the settings that are not listed here."""


def settings_page() -> str:
    """The whole page."""
    return _INTRO + "".join(_row(name, field) for name, field in Settings.model_fields.items())


def _row(name: str, field: FieldInfo) -> str:
    words = (field.description or "").replace("|", "\\|")
    if name in SECRETS:
        words += " *Secret.*"
    cells = (
        f"`{PREFIX}{name.upper()}`",
        _type(field.annotation),
        _default(name, field.default),
        _READ_BY.get(name, "all"),
        words,
    )
    return f"| {' | '.join(cells)} |\n"


def _default(name: str, value: Any) -> str:
    if value == () or (value is None and not name.startswith("retain_")):
        return "unset"
    return f"`{int(value)}`" if isinstance(value, bool) else f"`{show(name, value)}`"


def _type(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(f"`{one}`" for one in get_args(annotation))
    if get_origin(annotation) in (UnionType, Union):
        return _type(next(one for one in get_args(annotation) if one is not NoneType))
    if annotation is Size:
        return "size"
    if get_origin(annotation) is Annotated:
        return _type(get_args(annotation)[0])
    if get_origin(annotation) is tuple:
        return "list of numbers" if get_args(annotation)[0] is float else "list"
    names = {str: "text", int: "whole number", float: "number", bool: "yes or no", timedelta: "span"}
    return names.get(annotation, getattr(annotation, "__name__", str(annotation)))
