"""History and stored values over the API: state and sizes, and never content."""

from __future__ import annotations

from datetime import timedelta

import jobs
from jobs.app import App
from jobs.operations.access.tokens import create_token
from jobs.operations.audit.operator import Operator
from tests.admin_api.conftest import MakeClient


def test_a_viewer_sees_the_state_of_history_and_the_stored_values_page_by_page(
    app: App, make_client: MakeClient, users: dict[str, str], shell: Operator
) -> None:
    _, secret = create_token(
        app, shell, user=users["viewer"], name="t", permissions=["runs:read"], lasts=timedelta(days=1)
    )
    client = make_client(secret)
    for n in range(3):
        jobs.Stored(b"secret content", name=f"{n}.pdf").write_to(app)

    assert client.get("/v1/history").json()["data"] == {
        "state": "off", "period": None, "enabled_at": None, "moves_after": None, "partitions": [], "detached": [],
    }  # fmt: skip
    first = client.get("/v1/stored-values?limit=2").json()
    rest = client.get("/v1/stored-values", params={"cursor": first["pagination"]["next_cursor"]}).json()

    assert [one["name"] for one in first["data"] + rest["data"]] == ["2.pdf", "1.pdf", "0.pdf"]
    assert {(one["size"], one["state"], one["runs"]) for one in first["data"]} == {(14, "unused", 0)}
    assert "content" not in str(first)
