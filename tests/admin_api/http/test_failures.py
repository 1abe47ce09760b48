"""What fails inside is an envelope with the id of the request, and is never reported as done."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from jobs.app import App
from tests.admin_api.conftest import MakeClient
from tests.admin_api.http.raw import admin as admin
from tests.conftest import MakeApp


def test_the_request_id_of_a_response_is_in_the_log(anyone: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="jobs.api"):
        anyone.get("/v1/runs", headers={"X-Request-ID": "order-7.check"})

    assert [one.request_id for one in caplog.records if one.msg == "Answered"] == ["order-7.check"]


def test_a_bug_is_an_envelope_with_the_request_id_and_the_log_has_the_rest(
    admin: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from jobs.operations.insight import queues

    def bug(*args: Any) -> None:
        raise KeyError("secret of ours")

    monkeypatch.setattr(queues, "look_at", bug)
    answer = admin.get("/v1/queues/mail", headers={"X-Request-ID": "order-7.check"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "bug")
    assert answer.json()["meta"]["request_id"] == "order-7.check"
    assert "secret of ours" not in answer.text
    assert any(one.exc_info for one in caplog.records)


def test_a_ledger_that_becomes_unreachable_is_a_503_without_its_address(
    make_app: MakeApp, make_client: MakeClient
) -> None:
    app = make_app("postgresql://ada:hunter2@127.0.0.1:1/ledger")
    client = make_client("jl_x", over=app)

    for answer in (client.get("/readyz"), client.get("/v1/runs")):
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "service_down")
        assert answer.headers["retry-after"] == "2"
        assert "hunter2" not in answer.text
        assert "127.0.0.1" not in answer.text
    assert client.get("/healthz").status_code == 200


def test_a_failed_commit_is_never_reported_as_done(
    admin: TestClient, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobs.errors import LedgerBusy
    from jobs.operations.control import pause

    class Breaking:
        """A transaction whose commit fails."""

        def __init__(self, inner: Any) -> None:
            self._inner = inner

        def __enter__(self) -> Any:
            return self._inner.__enter__()

        def __exit__(self, *error: Any) -> None:
            self._inner.__exit__(LedgerBusy, LedgerBusy("commit"), None)
            raise LedgerBusy("commit")

    write = app.database.write
    monkeypatch.setattr(type(app.database), "write", lambda self, **how: Breaking(write(**how)))
    with monkeypatch.context() as patch:
        patch.setattr(pause, "check_known", lambda *args, **given: None)
        answer = admin.put("/v1/queues/mail/pause", json={"is_new": True})

    assert answer.status_code == 503, json.dumps(answer.json())
