"""The API listens on this machine only, unless the settings say that a proxy ends TLS."""

from __future__ import annotations

import socket
from contextlib import closing
from typing import Any

import pytest

from admin_api.main import check_place, listen, url_of
from jobs.errors import ConfigurationError
from jobs.settings import Settings

SECRET = "s" * 32


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_the_api_may_listen_on_this_machine(host: str) -> None:
    check_place(Settings(api_host=host))


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({}, "JOBS_API_BEHIND_TLS"),
        ({"api_behind_tls": True}, "JOBS_API_SECRET"),
        ({"api_behind_tls": True, "api_secret": SECRET}, "JOBS_API_HOSTS"),
    ],
)
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "jobs.example.org"])
def test_another_address_is_refused_until_all_needed_settings_are_given(
    host: str, given: dict[str, Any], named: str
) -> None:
    with pytest.raises(ConfigurationError, match=named):
        check_place(Settings(api_host=host, **given))


def test_another_address_serves_behind_tls() -> None:
    check_place(Settings(api_host="0.0.0.0", api_behind_tls=True, api_secret=SECRET, api_hosts=("jobs.example.org",)))


def test_a_port_that_is_taken_is_one_clear_error() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = int(url_of(taken).rpartition(":")[2])

        with pytest.raises(ConfigurationError, match=f"cannot listen on 127.0.0.1:{port}"):
            listen("127.0.0.1", port)


def test_no_response_waits_for_an_acknowledgement_of_its_head() -> None:
    with closing(listen("127.0.0.1", 0)) as listener:
        with closing(socket.create_connection(listener.getsockname()[:2], timeout=5)):
            accepted, _ = listener.accept()
        with closing(accepted):
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
