"""docs/json.md: every command that takes ``-o json`` is on the page, and answers in the shape that it gives."""

from __future__ import annotations

import io
import json
import platform
import re
import shlex
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import dramatiq
import pytest
import redis
from dramatiq.brokers.redis import RedisBroker

from jobs import boot
from jobs.app import App
from jobs.ledger import workers
from jobs.ready.celery_queues import SEP
from tests.admin_cli import world
from tests.admin_cli.conftest import Program
from tests.admin_cli.conftest import in_shop as in_shop
from tests.admin_cli.test_examples import commands
from tests.conftest import MakeApp
from tests.jobs.operations.runs.test_import_celery import message

PAGE = (Path(__file__).parents[2] / "docs" / "json.md").read_text()
HEAD, _, COMMANDS = PAGE.partition("## Commands")
SHAPES = {
    name: json.loads(shape)
    for name, shape in re.findall(r"^`(\w+)`:[^\n]*(?:\n[^\n]+)*\n\n```json\n(.*?)```", HEAD, re.S | re.M)
}
GIVEN = {
    "list": "list --limit 3",
    "wait ID": "wait c9165be1",
    "show ID": "show c9165be1",
    "dlq show ID": "dlq show c9165be1",
    "attempts ID": "attempts c9165be1",
    "logs ID": "logs c9165be1",
    "diff ID A B": "diff c9165be1 1 2",
    "why ID": "why c9165be1",
    "queues show QUEUE": "queues show payments",
    "limits show LIMIT": "limits show stripe",
    "breakers show BREAKER": "breakers show Charge",
    "kinds list": "kinds list --import shop.jobs",
    "kinds show KIND": "kinds show ChargeCard --import shop.jobs",
    "shadow": "shadow c9165be1 --import shop.jobs",
    "compat": "compat --import shop.jobs --kind 'Charge*'",
    "batches show ID": "batches show 0000ba7c",
    "effects list": "effects list c9165be1",
    "effects resolve RUN STEP": "effects resolve c9165be1 charge --did-not --yes",
    "workers show WORKER": "workers show desk/4711/0",
    "seal open RUN": "seal open c9165be1",
    "audit show ACTION": "audit show 110f1ec2",
    "schedules show SCHEDULE": "schedules show nightly",
    "schedules preview SCHEDULE": "schedules preview nightly -n 2",
    "replay --dry-run": "replay --all --dry-run",
    "cancel --dry-run": "cancel -q mail --dry-run",
    "purge --dry-run": "purge --state dead --dry-run",
    "restore --dry-run": "restore --all --dry-run",
    "replay": "replay --kind ChargeCard --set card=ok --import shop.jobs --yes",
    "cancel": "cancel -q mail --state scheduled --yes",
    "purge": "purge --state cancelled --yes",
    "restore": "restore --all --yes",
    "batches cancel ID": "batches cancel 0000ba7c --yes",
    "batches replay ID": "batches replay 0000ba7c --yes",
    "audit undo ACTION": "audit undo 110f1ec2 --yes",
    "chaos run": "chaos run --target staging --for 4s --every 1s --seed 7 --only kill",
    "import-dramatiq URL": "import-dramatiq REDIS_URL --yes",
    "import-celery REDIS_URL": "import-celery REDIS_URL --import shop.jobs --yes",
}


def entries() -> list[tuple[list[str], str | None, Any]]:
    """Each entry of the page: its commands, the shape that its own adds to, and its own."""
    found = []
    for part in COMMANDS.split("\n### ")[1:]:
        title, _, text = part.partition("\n")
        (block,) = re.findall(r"```json\n(.*?)```", text, re.S)
        base = re.search(r"An? `(\w+)`, and:", text)
        found.append((re.findall(r"`([^`]+)`", title), base[1] if base else None, json.loads(block)))
    return found


def wrong(value: Any, shape: Any, at: str = "data") -> list[str]:
    """What of ``value`` is not as ``shape`` says."""
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [f"{at} is no list"]
        return [one for index, inner in enumerate(value) for one in wrong(inner, shape[0], f"{at}[{index}]")]
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return [f"{at} is no object"]
        if "…" in shape:
            return [one for name, inner in value.items() for one in wrong(inner, shape["…"], f"{at}.{name}")]
        if set(shape) != set(value):
            return [f"{at} has {sorted(set(shape) ^ set(value))} in one of page and answer"]
        return [one for name in shape for one in wrong(value[name], shape[name], f"{at}.{name}")]
    word, _, null = shape.partition(" | ")
    if value is None and (null == "null" or word == "any"):
        return []
    if word in SHAPES:
        return wrong(value, SHAPES[word], at)
    return [] if _TYPES[word](value) else [f"{at} is {value!r}, not {shape}"]


_TYPES: dict[str, Callable[[Any], bool]] = {
    "any": lambda value: True,
    "text": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "seconds": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "id": lambda value: str(UUID(value)) == value,
    "moment": lambda value: value.endswith("Z") and datetime.fromisoformat(value).tzinfo is not None,
}


def start_for_chaos(app: App) -> None:
    """End the worker of the sample, and register one that was started for chaos, and whose process has ended."""
    with app.database.write() as connection:
        workers.sign_off(connection, world.WORKER)
        workers.register(
            connection, "here/1/0", host=platform.node(), pid=1, version="1", queues=["mail"], kinds=["Report"],
            threads=1, chaos="staging", process="gone",
        )  # fmt: skip


def test_every_command_answers_in_its_shape(
    in_shop: Callable[[App], Program],
    make_app: MakeApp,
    sqlite_url: str,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = make_app(sqlite_url)
    monkeypatch.setattr(boot, "_app", app)
    program = in_shop(app)
    monkeypatch.setattr(sys, "stdin", io.StringIO("correct horse battery staple\n"))
    assert program("users", "create", "ada", "--role", "admin", "--password-stdin").code == 0
    assert program("tokens", "create", "deploys", "--user", "ada", "--allow", "runs:read", "--for", "90d").code == 0
    assert program("api", "link").code == 0

    greet = dramatiq.actor(lambda: None, actor_name="greet", queue_name="mail", broker=RedisBroker(url=redis_url))
    greet.send()
    with redis.Redis.from_url(redis_url) as client:
        client.sadd("_kombu.binding.celery", f"celery{SEP}{SEP}celery")
        client.lpush("celery", message("ChargeCard", order_id=7))

    for names, base, own in entries():
        for name in names:
            line = GIVEN.get(name, name).replace("REDIS_URL", redis_url)
            if name == "chaos run":
                start_for_chaos(app)
                assert program("chaos", "allow", "--target", "staging").code == 0
            ended = program(*shlex.split(line), "-o", "json")

            assert ended.code in (0, 4, 7), (name, ended.err)
            answer = json.loads(ended.out)
            assert set(answer) == {"data", "error", "meta", "pagination"}
            assert (answer["pagination"] is not None) == isinstance(answer["data"], list)
            shape = {**SHAPES[base], **own} if base else own
            assert wrong(answer["data"], shape) == [], name
            assert answer["data"], name


def test_no_command_that_takes_json_is_left_out() -> None:
    takes = {path for path, command in commands() if any(one.name == "output" for one in command.params)}
    told = {re.split(r" [A-Z-]", name)[0] for names, _, _ in entries() for name in names}

    assert takes - {"dlq replay", "dlq purge"} == told
