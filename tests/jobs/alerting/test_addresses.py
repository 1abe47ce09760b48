"""Alerts go only to public addresses: each is checked when it is given and when it is used."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from jobs.alerting.guard import AddressGuard, NotDelivered, TargetRefused
from jobs.alerting.post import post
from jobs.errors import SelectorRefused
from jobs.operations.control import alert_routes
from jobs.testing import Ledger
from tests.jobs.alerting.receiving import ADA, Receiver


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    inner = Receiver()
    receiver.answers = [(302, {"Location": inner.url})]
    with pytest.raises(NotDelivered, match="redirects are not followed"):
        post(receiver.url, b"{}", {}, guard=AddressGuard(["127.0.0.0/8"])).check()
    inner.server.shutdown()
    inner.server.server_close()

    assert (len(receiver.got), inner.got) == (1, [])


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://10.1.2.3/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::ffff:10.0.0.1]/",
        "https://[64:ff9b::a9fe:a9fe]/",
        "https://[2002:7f00:1::]/",
        "https://[fd00::1]/",
        "https://0.0.0.0/",
        "https://224.0.0.1/",
        "https://100.64.0.1/",
        "http://93.184.216.34/",
        "https://user:word@example.com/",
        "ftp://example.com/",
        "https:///path",
        "https://example.com:0/",
        "https://exa mple.com/",
        "file:///etc/passwd",
    ],
)
def test_an_address_that_is_not_public_is_refused_when_it_is_given(ledger: Ledger, url: str) -> None:
    with pytest.raises(TargetRefused):
        AddressGuard().check_url(url)
    if "127.0.0.1" not in url and "7f00" not in url:  # This ledger allows that network.
        with pytest.raises(SelectorRefused):
            alert_routes.add_route(ledger.app, ADA, "webhook", topics=["dead"], target=url)


def test_a_name_is_resolved_once_and_all_its_addresses_are_checked(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def resolve(*addresses: str) -> Callable[..., Any]:
        def getaddrinfo(host: str, port: int, *rest: Any, **more: Any) -> Any:
            asked.append(host)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in addresses]

        return getaddrinfo

    port = receiver.server.server_port
    monkeypatch.setattr(socket, "getaddrinfo", resolve("127.0.0.1"))
    assert post(f"http://hooks.test:{port}/", b"{}", {}, guard=AddressGuard(["127.0.0.0/8"])).status == 204
    assert asked == ["hooks.test"]
    monkeypatch.setattr(socket, "getaddrinfo", resolve("93.184.216.34", "10.0.0.1"))
    with pytest.raises(TargetRefused, match=r"10\.0\.0\.1"):
        post("https://rebinding.test/", b"{}", {}, guard=AddressGuard())
