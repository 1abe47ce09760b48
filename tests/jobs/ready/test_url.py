"""What a Redis URL may say, and that no message shows its password."""

from __future__ import annotations

import pytest

from jobs.errors import ConfigurationError
from jobs.ready.redis import RedisReadyIndex
from jobs.ready.url import connection_options


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("redis://localhost", {"host": "localhost"}),
        ("redis://bob:p%40ss@[::1]:7000/3", {"username": "bob", "password": "p@ss", "port": 7000, "db": 3}),
        ("unix:///run/r.sock?db=2", {"path": "/run/r.sock", "db": 2}),
        ("rediss://host?ssl_cert_reqs=none", {"ssl_cert_reqs": "none"}),
    ],
)
def test_supported_urls_are_understood(url, options):
    assert options.items() <= connection_options(url).items()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("redis+sentinel://:s3cret@host:26379/mymaster", "Sentinel"),
        ("sentinel://:s3cret@host", "Sentinel"),
        ("redis+cluster://:s3cret@host", "Cluster"),
        ("redis://:s3cret@one:6379,two:6379/0", "several servers"),
        ("http://:s3cret@host", "not the URL of a Redis"),
        ("", "not the URL of a Redis"),
        ("s3cret", "not the URL of a Redis"),
        ("redis://", "lacks a host"),
        ("redis://:s3cret@host/mail", "not a number"),
        ("redis://:s3cret@host:port", "cannot be read"),
        ("redis://bob:s3cret/x#y@host", "cannot be read"),
        ("redis://:s3cret@host:99999", "cannot be read"),
        ("redis://:s3cret@host?db=x", "cannot be read"),
        ("redis://:s3cret@[::1", "cannot be read"),
        ("redis://:s3cret@host?colour=blue", "option"),
        ("redis://:s3cret@host?protocol=9&nonsense=1", "option"),
        ("unix://", "no socket"),
    ],
)
def test_other_urls_are_refused_plainly(url, why):
    with pytest.raises(ConfigurationError, match=why) as caught:
        RedisReadyIndex(url)

    assert caught.value.hint
    assert url == "s3cret" or "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None
