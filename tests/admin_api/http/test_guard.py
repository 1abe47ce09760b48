"""The guard: headers of every response, and requests that are refused before any handler runs."""

from __future__ import annotations

import psycopg
import pytest
from starlette.testclient import TestClient

from admin_api.http.guard import MAX_BODY_BYTES
from jobs.app import App
from tests.admin_api.conftest import MakeClient


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/nothing", "/v1/nothing"])
def test_every_response_is_an_envelope_with_security_headers(anyone: TestClient, path: str) -> None:
    answer = anyone.get(path)

    assert set(answer.json()) == {"data", "error", "meta", "pagination"}
    assert "'unsafe-inline'" not in answer.headers["content-security-policy"]
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert "server" not in answer.headers


def test_a_request_id_is_accepted_returned_and_named_in_errors(anyone: TestClient) -> None:
    answer = anyone.get("/nothing", headers={"X-Request-ID": "order-7.check"})

    assert answer.headers["x-request-id"] == "order-7.check"
    assert answer.json()["meta"] == {"request_id": "order-7.check"}


@pytest.mark.parametrize("given", ["short", "a" * 65, "with space", "new\tline-here", "<script>alert(1)</script>"])
def test_a_request_id_that_could_forge_a_log_is_replaced(anyone: TestClient, given: str) -> None:
    answer = anyone.get("/healthz", headers={"X-Request-ID": given})

    assert answer.headers["x-request-id"] != given
    assert len(answer.headers["x-request-id"]) == 16


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "[::2]", ""])
def test_an_unknown_host_name_is_refused(anyone: TestClient, host: str) -> None:
    answer = anyone.get("/healthz", headers={"Host": host})

    assert (answer.status_code, answer.json()["error"]["code"]) == (421, "wrong_host")


@pytest.mark.parametrize("host", ["localhost:9180", "127.0.0.1", "[::1]:9180"])
def test_the_names_of_this_machine_are_accepted(anyone: TestClient, host: str) -> None:
    assert anyone.get("/healthz", headers={"Host": host}).status_code == 200


def test_a_body_that_is_too_large_is_refused(anyone: TestClient) -> None:
    assert anyone.post("/v1/sessions", content=b"x" * (MAX_BODY_BYTES + 1)).status_code == 413


def test_a_bug_is_a_500_without_details(app: App, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.migration.schema.check", lambda database: 1 / 0)

    answer = make_client().get("/readyz")

    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "bug"
    assert "division" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_an_unreachable_ledger_is_a_503_without_its_address(
    make_client: MakeClient, app: App, make_app: object, tmp_path: object
) -> None:
    nowhere = make_app(f"sqlite:///{tmp_path}/secret-place/none.db")  # type: ignore[operator]

    answer = make_client(over=nowhere).get("/readyz")

    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert "secret-place" not in answer.text


def test_an_api_over_a_read_only_server_is_ready_only_in_read_only_mode(make_client, make_app, pg_database):
    name = pg_database.rpartition("/")[2]
    with psycopg.connect(pg_database, autocommit=True) as connection:
        connection.execute(f"alter database {name} set default_transaction_read_only = on")

    writes, reads = make_app(pg_database), make_app(pg_database, api_read_only=True)

    assert make_client(over=writes).get("/readyz").status_code == 503  # K.19
    assert make_client(over=reads).get("/readyz").status_code == 200
