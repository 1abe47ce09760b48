"""Settings: reads the environment once and checks all of it.

Each setting is an environment variable with the prefix ``JOBS_``. A secret may instead be in a file, named by the
variable with the suffix ``_FILE``. Code below ``boot`` receives values and never reads the environment.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Container, Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jobs import settings_defaults
from jobs.errors import ConfigurationError
from jobs.formats.duration import format_duration
from jobs.formats.redact import HIDDEN, redact_url
from jobs.formats.setting_types import (
    Buckets,
    Keep,
    Level,
    Networks,
    Proxies,
    PublicUrl,
    SchemaName,
    SentryDsn,
    Served,
    Size,
    SmtpUrl,
    Span,
    StoreUrl,
    TextList,
)

PREFIX = "JOBS_"
SECRETS = frozenset({"database_url", "redis_url", "sentry_dsn", "api_secret", "alert_smtp_url", "mcp_token"})
"""Settings that may contain a password; shown hidden, and also read from ``JOBS_…_FILE``."""

ALERT_PREFIXES = ("JOBS_ALERT_SECRET", "JOBS_ALERT_URL")
ALERT_VARIABLE = re.compile(r"JOBS_ALERT_(SECRET|URL)(_[A-Z0-9_]{1,60})?")
"""Variables with secrets of receivers of alerts. An operator says which one counts, and can name no other variable."""


class Settings(BaseModel):
    """All settings. Spans are written as 30s, 5m, 1h; a bare number is seconds.

    ``read`` uses the environment; every other constructor uses only the given values and defaults.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    database_url: str | None = Field(None, repr=False, description="URL of the ledger: sqlite:///… or postgresql://…")
    database_schema: SchemaName | None = Field(None, description="PostgreSQL schema that holds our tables.")
    redis_url: str | None = Field(
        None, repr=False, description="Redis or Valkey for the ready index; unset: workers ask the ledger."
    )
    redis_prefix: str = Field("jobs", description="Prefix of our Redis keys.", min_length=1, max_length=100)
    imports: TextList = Field((), description="Modules that define jobs, separated by commas.")
    release: str | None = Field(
        None,
        max_length=100,
        description="Name of this release of your code: a version, a commit. Workers record it for their attempts.",
    )
    chaos: str | None = Field(None, pattern="^[A-Za-z0-9_.-]{1,40}$", description="Target of chaos a process is for.")
    queues: Served = Field(
        (),
        description="Queues a worker serves, in this order or by weight (mail:3,reports:1); unset: those of its kinds.",
    )
    processes: int = Field(1, ge=1, le=256, description="Worker processes.")
    threads: int = Field(8, ge=1, le=512, description="Threads per worker process.")
    async_concurrency: int = Field(500, ge=1, le=10000, description="Coroutines per worker process.")
    shutdown: Span = Field(timedelta(seconds=25), description="Time that a stopping worker gives its runs to finish.")
    lease: Span = Field(timedelta(seconds=30), description="How long a claim lasts without renewal.")
    hard_after: Span = Field(timedelta(seconds=10), description="From the soft time limit to the hard one.")
    max_runs: int | None = Field(None, ge=1, description="Runs after which a worker process is replaced.")
    max_memory: Size | None = Field(None, ge=1, description="Memory (512M, 2G) above which a process is replaced.")
    poison_after: int = Field(3, ge=1, le=100, description="Crashes or lost leases that make a run dead as poison.")
    unknown_kind_wait: Span = Field(
        timedelta(minutes=15), description="How long a run may wait for a worker that knows its kind."
    )
    overdue_after: Span = Field(timedelta(seconds=5), description="A due run that waits longer is indexed again.")
    max_argument_bytes: int = Field(262_144, ge=1, le=64 * 2**20, description="Largest arguments, as JSON.")
    max_result_bytes: int = Field(262_144, ge=1, le=64 * 2**20, description="Largest result or step, as JSON.")
    pool_size: int = Field(
        5, ge=1, le=500, description="Database connections a process keeps for its jobs and callers."
    )
    pgbouncer: bool = Field(
        False, description="PostgreSQL is behind pgbouncer in transaction mode: nothing is prepared there."
    )
    sqlite_group: bool = Field(
        False, description="A new SQLite ledger may be read and written by its folder's group, not by its user alone."
    )
    store: StoreUrl = Field("ledger", max_length=900, description="Stored values: ledger, file:///… or s3://BUCKET/…")
    store_above: Size | None = Field(None, ge=1024, description="Larger arguments and results are stored; unset: none.")
    store_timeout: Span = Field(timedelta(seconds=30), description="Time limit of a wait for data of an S3 store.")
    max_stored_bytes: Size = Field(2**30, ge=1, description="Largest stored value.")
    seal_keys_file: Path | None = Field(None, description="The keys of sealed arguments, for owner and group only.")
    notify: bool = Field(
        True, description="PostgreSQL without Redis: wake idle workers by NOTIFY, which takes turns at commit."
    )
    connect_timeout: Span = Field(timedelta(seconds=5), description="Time limit of a connection to a server.")
    statement_timeout: Span = Field(timedelta(seconds=30), description="Time limit of a statement.")
    lock_timeout: Span = Field(timedelta(seconds=5), description="Time limit of a wait for a lock.")
    slow_statement: Span = Field(timedelta(seconds=1), description="Statements that take longer are logged.")
    retain_succeeded: Keep = Field(timedelta(days=7), description="Succeeded runs are deleted after this, or never.")
    retain_cancelled: Keep = Field(timedelta(days=30), description="Cancelled runs are deleted after this, or never.")
    retain_dead: Keep = Field(None, description="Dead runs are deleted after this time, or never.")
    retain_purged: Keep = Field(
        timedelta(days=7), description="Purged runs are deleted at the latest this long after the purge, or never."
    )
    retain_slots: Keep = Field(
        timedelta(days=90), description="Results of a schedule's slots are deleted after this time, or never."
    )
    retain_audit: Keep = Field(None, description="Audit entries are deleted after this time, or never.")
    require_reason: bool = Field(False, description="Operators must give a reason: --reason.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level that is logged.")
    log_format: Literal["auto", "json", "console"] = Field("auto", description="auto: text on a terminal, else JSON.")
    log_starts: bool = Field(False, description="Log the start of each attempt too.")
    capture_logs: Level = Field(
        "off", description="Keep with each attempt what its job logs from this level on, and what it prints."
    )
    max_log_bytes: Size = Field(
        65_536, ge=1024, le=2**20, description="Log kept of an attempt: half its first lines, half its last."
    )
    max_log_rate: Size = Field(
        2**20, ge=1024, le=2**30, description="Bytes a second of attempts' logs above which a process keeps less."
    )

    metrics_host: str = Field("127.0.0.1", description="Address that serves metrics and health; 0.0.0.0: all.")
    metrics_port: int | None = Field(
        None, ge=0, le=65535, description="Port of the worker's metrics and health; 0: any free one; unset: none."
    )
    ledger_metrics_port: int | None = Field(
        None, ge=0, le=65535, description="Port of the ledger's metrics and the scheduler's health; unset: none."
    )
    metrics_buckets: Buckets = Field(
        (), description="Upper bounds of the histograms in seconds, ascending; unset: 5 ms to 1 h."
    )
    metrics_timeout: Span = Field(timedelta(seconds=5), description="Time limit for reading the ledger's metrics.")
    metrics_cache: Span = Field(timedelta(seconds=5), description="Greatest age of cached ledger metrics.")
    latency_target: Span = Field(timedelta(minutes=5), description="Greatest age of a queue's oldest ready run.")
    sentry_dsn: SentryDsn | None = Field(None, repr=False, description="Sentry project for errors; unset: none.")
    sentry_environment: str | None = Field(None, description="Sentry's environment.")
    sentry_retry_level: Literal["off", "debug", "info", "warning", "error"] = Field(
        "warning", description="Sentry level of errors that are retried; a dead run is always an error."
    )
    sentry_traces: float = Field(0.0, ge=0.0, le=1.0, description="Share of attempts sent as transactions.")
    sentry_crons: bool = Field(False, description="Send check-ins of schedules' runs to Sentry's monitors.")
    sentry_arguments: bool = Field(False, description="Send a failed run's arguments too, scrubbed.")
    tracing: bool = Field(False, description="Trace runs with OpenTelemetry; needs the extra otel.")
    otel_metrics: bool = Field(False, description="Record metrics with OpenTelemetry; needs the extra otel.")

    alert_networks: Networks = Field(
        (), description="Private networks that webhooks of alerts may reach, by http too: 10.0.0.0/8."
    )
    alert_smtp_url: SmtpUrl | None = Field(None, repr=False, description="Mail server for alerts: smtp://U:P@HOST:587.")
    alert_from: str = Field("jobledger@localhost", description="Sender of e-mails about alerts.")
    mcp_token: str | None = Field(None, repr=False, description="Token of the API whose permissions hold for mcp.")
    api_host: str = Field("127.0.0.1", description="Address of the API and its pages.")
    api_port: int = Field(9180, ge=0, le=65535, description="Port of the API and its pages; 0: any free one.")
    api_behind_tls: bool = Field(False, description="A proxy ends TLS: the API may listen on other addresses too.")
    public_url: PublicUrl | None = Field(
        None, description="URL at which others reach the API; callback URLs begin with it."
    )
    api_hosts: TextList = Field((), description="Host names that the API answers to, besides localhost.")
    api_proxies: Proxies = Field(
        (), description="Addresses and networks of proxies whose X-Forwarded-For the API believes."
    )
    api_secret: str | None = Field(
        None,
        repr=False,
        min_length=32,
        description="Signs access tokens; the same for all API processes. Unset: random, per process.",
    )
    api_token_rate: int = Field(
        300, ge=0, le=10**6, description="Changing requests per minute for each token or session; 0: no limit."
    )
    api_user_rate: int = Field(
        600, ge=0, le=10**6, description="Changing requests per minute for each user; 0: no limit."
    )
    api_read_only: bool = Field(False, description="The API and its pages refuse every change.")

    @classmethod
    def read(cls, **given: Any) -> Self:
        """The settings of this process; ``given`` (from command-line options) wins, and None means not given.

        Raises:
            ConfigurationError: lists every mistake.
        """
        found, mistakes = read_secret_files(cls.model_fields)
        return cls._made(
            {**settings_defaults.provided(), **found, **_read_variables(cls.model_fields)}, given, mistakes
        )

    @classmethod
    def of(cls, **given: Any) -> Self:
        """These settings, and all others at their defaults; ignores the environment. Raises the same as ``read``."""
        return cls._made({}, given, [])

    @classmethod
    def _made(cls, found: Mapping[str, Any], given: Mapping[str, Any], mistakes: list[str]) -> Self:
        said = {name: value for name, value in given.items() if value is not None}
        settings = None
        try:
            settings = cls(**{**found, **said})
        except ValidationError as error:
            mistakes += [_mistake(one, said) for one in error.errors(include_url=False, include_input=False)]
        if mistakes or settings is None:
            raise ConfigurationError(f"Settings: {'; '.join(mistakes)}.")
        return settings


def _read_variables(names: Iterable[str]) -> dict[str, str]:
    """The settings in the environment. An empty variable is not set; names may be in lower case."""
    variables = {variable.upper(): value for variable, value in os.environ.items()}
    found = {name: variables.get(f"{PREFIX}{name.upper()}") for name in names}
    return {name: value for name, value in found.items() if value}


def read_alert_variable(name: str) -> str:
    """The secret in the variable ``name``, or in the file that ``name`` + ``_FILE`` names; or ConfigurationError."""
    if not ALERT_VARIABLE.fullmatch(name):
        raise ConfigurationError(f"{name} is not for alerts.", hint="Use JOBS_ALERT_SECRET or JOBS_ALERT_URL_….")
    path = os.environ.get(f"{name}_FILE")
    try:
        value = os.environ.get(name) or (Path(path).read_text().strip() if path else "")
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError(f"The file that {name}_FILE names cannot be read.") from None
    if not value:
        raise ConfigurationError(f"{name} is not set in this process.", hint=f"Set it, or {name}_FILE, in the workers.")
    return value


def read_secret_files(names: Container[str]) -> tuple[dict[str, str], list[str]]:
    """The contents of the files that ``_FILE`` variables name, and the mistakes in the other variables."""
    found: dict[str, str] = {}
    mistakes = []
    for name in sorted(SECRETS):
        variable = f"{PREFIX}{name.upper()}"
        path = os.environ.get(f"{variable}_FILE")
        if not path or name not in names:
            continue
        if os.environ.get(variable):
            mistakes.append(f"{variable} and {variable}_FILE are both set: unset one of them")
            continue
        try:
            found[name] = Path(path).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not text"
            mistakes.append(f"{variable}_FILE names {path}, which cannot be read: {reason}")
    return found, mistakes


def origins(given: Mapping[str, Any]) -> dict[str, str]:
    """Where each setting that differs from its default comes from, in words."""
    from_files = read_secret_files(Settings.model_fields)[0]
    found = settings_defaults.origins()
    for name in Settings.model_fields:
        variable = f"{PREFIX}{name.upper()}"
        if given.get(name) is not None:
            found[name] = f"option --{name.replace('_', '-')}"
        elif os.environ.get(variable):
            found[name] = f"environment {variable}"
        elif name in from_files:
            found[name] = f"file {os.environ[f'{variable}_FILE']}"
    return found


def unknown_variables() -> list[str]:
    """One line for each ``JOBS_`` variable that is not a setting, with the nearest name."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    known |= {f"{PREFIX}{name.upper()}_FILE" for name in SECRETS} | {"JOBS_ACTOR", "JOBS_TEST_DATABASE_URL"}
    lines = []
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known and not name.startswith(("JOBS_TEST_", *ALERT_PREFIXES)):
            near = difflib.get_close_matches(name, sorted(known), n=1)
            lines.append(f"{name} is not a setting." + (f" Did you mean {near[0]}?" if near else ""))
    return lines


def show(name: str, value: Any) -> str:
    """A setting's value as text, with secrets hidden."""
    if value is None:
        return "never" if name.startswith("retain_") else "unset"
    if name in SECRETS:
        return HIDDEN if name in ("api_secret", "mcp_token") else redact_url(str(value))
    if isinstance(value, timedelta):
        return format_duration(value)
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _mistake(error: Any, given: dict[str, Any]) -> str:
    name = str(error["loc"][0]) if error["loc"] else "?"
    where = f"--{name.replace('_', '-')}" if given.get(name) is not None else f"{PREFIX}{name.upper()}"
    return f"{where}: {error['msg'].removeprefix('Value error, ')}"
