"""docs/any-language.md: its TypeScript, Go and curl run as they stand, where their tools are."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from jobs.app import App
from jobs.definition import registry
from jobs.definition.published import published_kinds
from jobs.ledger.published_kinds import publish_kinds
from jobs.operations.access.tokens import create_token
from jobs.operations.access.users import create_user
from jobs.operations.audit.operator import Operator
from tests.admin_api.pages.chromium import served
from tests.conftest import MakeApp

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "any-language.md").read_text(encoding="utf-8")
PG = Path(os.environ.get("JOBS_TEST_NODE_MODULES") or ROOT / "node_modules")
"""A folder of npm's with the package ``pg``."""
GO_PQ = Path("/usr/share/gocode/src/github.com/lib/pq")
"""Where Debian's package golang-github-lib-pq-dev puts the driver."""


def needs(*programs: str) -> Any:
    missing = [one for one in programs if shutil.which(one) is None]
    return pytest.mark.skipif(bool(missing), reason=f"missing: {', '.join(missing)}")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.S)


@pytest.fixture
def app(pg_database: str, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> App:
    """A ledger that knows the page's job, as after a worker has started, and a table of the application."""
    made = make_app(pg_database)
    monkeypatch.setattr("jobs.boot._app", made)
    # Another test may have imported a job of that name.
    monkeypatch.delitem(registry._classes, "SendInvoice", raising=False)
    exec(compile(blocks("python")[0], "docs/any-language.md", "exec"), {"__name__": "any_language"})
    with made.database.write() as connection:
        publish_kinds(connection, [one for one in published_kinds(1000) if one.kind == "SendInvoice"])
    registry.forget("SendInvoice")
    with psycopg.connect(pg_database, autocommit=True) as sql:
        sql.execute("create table charges (order_id int primary key)")
    return made


@pytest.fixture
def api(app: App) -> Iterator[dict[str, str]]:
    """The environment of a program that uses the API."""
    shell = Operator("shell")
    create_user(app, shell, "till", role="operator", password="a long enough password")
    given: dict[str, Any] = {"permissions": ["runs:enqueue"], "lasts": timedelta(hours=1)}
    _, token = create_token(app, shell, user="till", name="shop", **given)
    with served(app) as base:
        yield {"JOBS_API": base, "TOKEN": token}


def run(command: list[str], folder: Path, **environment: str) -> str:
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def runs(url: str) -> list[tuple[str, str, str]]:
    with psycopg.connect(url) as sql:
        return sql.execute("select id::text, arguments ->> 'order_id', key from job_runs order by id").fetchall()


def typescript(text: str) -> str:
    """The same without its types. Node does that itself from 22.18 on."""
    text = re.sub(r"^type .*\n\n", "", text, flags=re.M)
    return re.sub(r": (?:number|string|object|\{ id: string \}|Run\[\]|Promise<[\w\[\]]+>)(?=[),;\s])", "", text)


def go(folder: Path, imports: str, snippet: str, main: str) -> list[str]:
    (folder / "main.go").write_text(
        f"package main\n\nimport (\n{imports}\n)\n\n{snippet}\n\nfunc main() {{\n{main}\n}}\n"
    )
    return ["go", "run", "main.go"]


@needs("node")
@pytest.mark.slow
def test_typescript_enqueues_over_http(api: dict[str, str], app: App, pg_database: str, tmp_path: Path) -> None:
    calls = """
const order = { kind: "SendInvoice", arguments: { order_id: 7 }, key: "order-7" };
console.log(JSON.stringify([await enqueue([order]), await enqueue([order])]));
const wrong = { kind: "SendInvoice", arguments: { order_id: "x" } };
await enqueue([order, wrong]).catch((error) => console.log(error.message));
"""
    (tmp_path / "shop.mjs").write_text(typescript(blocks("ts")[1]) + calls)

    first, refused = run(["node", "shop.mjs"], tmp_path, **api).splitlines()

    ((run_id, order, key),) = runs(pg_database)
    assert (json.loads(first), order, key) == ([[run_id], [run_id]], "7", "order-7")
    assert "order_id" in refused


@needs("node")
@pytest.mark.skipif(not (PG / "pg").exists(), reason="the npm package pg is missing (JOBS_TEST_NODE_MODULES)")
@pytest.mark.slow
def test_typescript_enqueues_in_its_own_transaction(app: App, pg_database: str, tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(PG)
    calls = """
console.log(await charge(7));
await charge(7).catch((error) => console.log(error.message));
"""
    (tmp_path / "shop.mjs").write_text(typescript(blocks("ts")[0]) + calls)

    first, refused = run(["node", "shop.mjs"], tmp_path, DATABASE_URL=pg_database).splitlines()

    assert runs(pg_database) == [(first, "7", "order-7")]
    assert "duplicate key" in refused


@needs("go")
@pytest.mark.slow
def test_go_enqueues_over_http(api: dict[str, str], app: App, pg_database: str, tmp_path: Path) -> None:
    imports = "\n".join(f'"{one}"' for one in ("bytes", "context", "encoding/json", "fmt", "net/http", "os", "time"))
    main = """
        api, token := os.Getenv("JOBS_API"), os.Getenv("TOKEN")
        order := Run{Kind: "SendInvoice", Arguments: map[string]any{"order_id": 7}, Key: "order-7"}
        for range []int{1, 2} {
            ids, err := Enqueue(context.Background(), api, token, []Run{order})
            fmt.Println(ids, err)
        }
        order.Arguments["order_id"] = "x"
        order.Key = ""
        _, err := Enqueue(context.Background(), api, token, []Run{order})
        fmt.Println(err)"""

    first, again, refused = run(go(tmp_path, imports, blocks("go")[1], main), tmp_path, **api).splitlines()

    ((run_id, order, key),) = runs(pg_database)
    assert (first, again, order, key) == (f"[{run_id}] <nil>", f"[{run_id}] <nil>", "7", "order-7")
    assert "order_id" in refused


@needs("go")
@pytest.mark.skipif(not GO_PQ.exists(), reason="the Go package lib/pq is missing (golang-github-lib-pq-dev)")
@pytest.mark.slow
def test_go_enqueues_in_its_own_transaction(app: App, pg_database: str, tmp_path: Path) -> None:
    imports = '"context"\n"database/sql"\n"fmt"\n"os"\n_ "github.com/lib/pq"'
    main = """
        database, _ := sql.Open("postgres", os.Getenv("DATABASE_URL"))
        for range []int{1, 2} {
            run, err := Charge(context.Background(), database, 7)
            fmt.Println(run, err)
        }"""
    there = {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "DATABASE_URL": f"{pg_database}?sslmode=disable"}

    first, refused = run(go(tmp_path, imports, blocks("go")[0], main), tmp_path, **there).splitlines()

    assert runs(pg_database) == [(first.removesuffix(" <nil>"), "7", "order-7")]
    assert "duplicate key" in refused


@needs("curl", "sh")
def test_curl_enqueues_over_http(api: dict[str, str], app: App, pg_database: str, tmp_path: Path) -> None:
    found = re.search(r"^    (curl .*\\\n.*)$", PAGE, re.M)
    assert found is not None
    line = found[1].replace("https://jobs.example", api["JOBS_API"])

    answer = json.loads(run(["sh", "-c", line], tmp_path, **api))

    assert [(one["id"], "7", "order-7") for one in answer["data"]] == runs(pg_database)
