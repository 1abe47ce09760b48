"""Private parts of dependencies: each is there, is used only where this table says, and has an upper bound.

An upgrade that takes one away fails here by the name of the part.
"""

from __future__ import annotations

import importlib
import inspect
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.layers import PACKAGES

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """``marker`` is what the code has where it uses the part; ``missing`` names what is not as we need it."""

    package: str
    marker: str
    places: frozenset[str]
    missing: Callable[[], list[str]]


def lacking(module: str, owner: str, *names: str) -> list[str]:
    """Those of ``names`` that ``owner`` of ``module`` does not have."""
    found: Any = getattr(importlib.import_module(module), owner, None)
    return [f"{module}.{owner}.{name}" for name in names if not hasattr(found, name)]


def parameters(module: str, owner: str, method: str, *names: str) -> list[str]:
    """Those of ``names`` that are no parameters of the method."""
    found = inspect.signature(getattr(getattr(importlib.import_module(module), owner), method)).parameters
    return [f"{owner}.{method}({name})" for name in names if name not in found]


def metaclass() -> list[str]:
    from pydantic import BaseModel

    module = importlib.import_module("pydantic._internal._model_construction")
    return [] if type(BaseModel) is module.ModelMetaclass else ["BaseModel's metaclass is another"]


def generators() -> list[str]:
    found = importlib.import_module("psycopg.generators")
    return [] if hasattr(found, "execute") else ["psycopg.generators.execute"]


def mmap_files() -> list[str]:
    names = ("read_value", "write_value", "read_all_values_from_file", "close")
    module = importlib.import_module("prometheus_client.mmap_dict")
    takes = ["metric_name", "name", "labelnames", "labelvalues", "help_text"]
    key = [] if [*inspect.signature(module.mmap_key).parameters] == takes else ["mmap_key takes something else"]
    return lacking("prometheus_client.mmap_dict", "MmapedDict", *names) + key


def cursor() -> list[str]:
    from cronsim import CronSim

    read = CronSim("5 4 * * *", datetime(2026, 1, 1))
    lost = [one for one in ("seconds", "minutes", "hours", "dt", "tick_direction") if not hasattr(read, one)]
    read.dt, read.tick_direction = datetime(2026, 6, 1), -1
    # Counted back from where its fields were put.
    return lost or ([] if next(read) == datetime(2026, 5, 31, 4, 5) else ["moving dt and tick_direction"])


def dialect_hook() -> list[str]:
    from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

    names = ("reset_isolation_level", "loaded_dbapi", "is_disconnect")
    return [one for one in names if not hasattr(PGDialect_psycopg, one)]


def threads_of_dramatiq() -> list[str]:
    class Nothing:
        middleware: tuple[()] = ()

    from dramatiq.worker import Worker

    made = Worker(Nothing(), worker_threads=1)  # type: ignore[arg-type]
    lost = [one for one in ("workers", "consumers", "work_queue", "broker") if not hasattr(made, one)]
    wanted = ("broker", "consumers", "work_queue", "worker_timeout")
    lost += lacking("dramatiq.worker", "Worker", "_add_worker", "start", "stop")
    return lost + parameters("dramatiq.worker", "WorkerThread", "__init__", *wanted)


PARTS = {
    "pydantic's metaclass": Part(
        package="pydantic",
        marker="pydantic._internal",
        places=frozenset({"jobs/client/job_class.py"}),
        missing=metaclass,
    ),
    "prometheus's memory-mapped files": Part(
        package="prometheus-client",
        marker="prometheus_client.mmap_dict",
        places=frozenset({"jobs/observe/counts.py", "jobs/observe/exposition.py"}),
        missing=mmap_files,
    ),
    "prometheus's multiprocess collector": Part(
        package="prometheus-client",
        marker="prometheus_client.multiprocess",
        places=frozenset({"jobs/observe/exposition.py"}),
        missing=lambda: parameters(
            "prometheus_client.multiprocess", "MultiProcessCollector", "merge", "files", "accumulate"
        ),
    ),
    "uvicorn's httptools protocol": Part(
        package="uvicorn",
        marker="httptools_impl",
        places=frozenset({"admin_api/http/protocol.py"}),
        missing=lambda: lacking(
            "uvicorn.protocols.http.httptools_impl",
            "HttpToolsProtocol",
            *("connection_made", "connection_lost", "data_received", "on_headers_complete", "on_body"),
            *("on_message_complete", "on_response_complete", "send_400_response"),
        ),
    ),
    "cronsim's cursor fields": Part(
        package="cronsim",
        marker="tick_direction",
        places=frozenset({"jobs/scheduling/cron.py"}),
        missing=cursor,
    ),
    "psycopg's wait": Part(
        package="psycopg",
        marker="super().wait(",
        places=frozenset({"jobs/database/postgres/connection.py"}),
        missing=lambda: parameters("psycopg", "Connection", "wait", "gen", "interval", "timeout"),
    ),
    "psycopg's generators": Part(
        package="psycopg",
        marker="import generators",
        places=frozenset({"jobs/database/postgres/prepared_statements.py"}),
        missing=generators,
    ),
    "SQLAlchemy's dialect hook": Part(
        package="sqlalchemy",
        marker="reset_isolation_level",
        places=frozenset({"jobs/database/postgres/driver.py"}),
        missing=dialect_hook,
    ),
    "dramatiq's threads": Part(
        package="dramatiq",
        marker="dramatiq.worker import Worker",
        places=frozenset({"worker/process/pool.py", "worker/dramatiq/plain_worker.py", "jobs/dramatiq/patches.py"}),
        missing=threads_of_dramatiq,
    ),
}


@cache
def sources() -> dict[str, str]:
    """The text of each file of ours."""
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    return {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in paths}


@pytest.mark.parametrize("part", PARTS)
def test_a_private_part_is_as_we_use_it(part: str) -> None:  # L, Leaner
    assert PARTS[part].missing() == []


@pytest.mark.parametrize("part", PARTS)
def test_a_private_part_is_used_in_its_place_only(part: str) -> None:  # L, Leaner
    found = {place for place, text in sources().items() if PARTS[part].marker in text}

    assert found == PARTS[part].places


@pytest.mark.parametrize("part", PARTS)
def test_the_package_of_a_private_part_has_an_upper_bound(part: str) -> None:  # L, Leaner
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["web"]]
    (line,) = [one for one in wanted if re.match(rf"{re.escape(PARTS[part].package)}(?![\w-])", one)]

    assert re.search(r",<\d", line), line
