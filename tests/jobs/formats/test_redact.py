"""No part of a URL's credentials is ever shown, whatever they are made of. K2.1"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.database.engine import Database
from jobs.errors import ConfigurationError
from jobs.formats.redact import mask, redact_url
from jobs.ready.connection import Connections
from jobs.settings import SECRETS, Settings, show

MARK = "s3CRET"
ANYTHING = st.text(max_size=12)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://user:secret@host:5432/db", "postgresql://***@host:5432/db"),
        ("postgresql://secret@host/db", "postgresql://***@host/db"),
        ("postgresql://user:se/cr/et@host/db", "postgresql://***@host/db"),
        ("postgresql://user:se@cr@et@host/db", "postgresql://***@host/db"),
        ("postgresql://user:secret word@host/db", "postgresql://***@host/db"),
        ("postgresql://user:secret?x@host/db", "postgresql://***"),
        ("postgresql://user:secret#x@host/db", "postgresql://***"),
        ("postgresql://user:secret", "postgresql://***"),
        ("postgresql://user:secret/db", "postgresql://***"),
        ("postgresql://user:pw@one:1,two:2/db", "postgresql://***@one:1,two:2/db"),
        ("postgresql://user:pw@[::1]:5432/db", "postgresql://***@[::1]:5432/db"),
        ("postgresql://host/db?password=secret&user=u", "postgresql://host/db?***"),
        ("postgresql:///db?host=/run/postgresql", "postgresql:///db?***"),
        ("redis://:secret@host/0", "redis://***@host/0"),
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("redis://:secret", "redis://***"),
        ("redis://host?x=a@b/secret", "redis://***"),
        ("unix://:secret@/run/r.sock?db=1", "unix://***@/run/r.sock?***"),
        ("https://secret@sentry.io/1", "https://***@sentry.io/1"),
        ("sqlite:////var/lib/a@b/jobs.db", "sqlite:////var/lib/a@b/jobs.db"),
        ("sqlite:///jobs.db?timeout=1", "sqlite:///jobs.db?***"),
        ("sqlite://user:secret@host/jobs.db", "sqlite://***@host/jobs.db"),
        ("user:secret://x@host", "***"),
        ("user:secret@host", "***"),
        ("secret", "***"),
        ("", "***"),
    ],
)
def test_a_url_is_shown_without_its_credentials_and_query(url, shown):
    assert redact_url(url) == shown


@given(
    scheme=st.sampled_from(["postgresql", "postgres", "postgresql+psycopg", "redis", "rediss", "unix", "https", "x y"]),
    before=ANYTHING,
    after=ANYTHING,
    rest=st.sampled_from(["host/db", "host:5432/db?sslmode=require", "[::1]/0", "", "one:1,two:2/db", "/run/r.sock"]),
)
def test_nothing_between_scheme_and_host_is_shown_whatever_it_is_made_of(scheme, before, after, rest):
    shown = redact_url(f"{scheme}://{before}{MARK}{after}@{rest}")

    assert MARK not in shown
    hidden = shown.partition("://")[2]
    assert hidden in ("", "***") or hidden.startswith(f"***@{rest.partition('?')[0]}")


def said_of_database(url: str) -> str:
    try:
        database = Database(url, Settings())
    except ConfigurationError as error:
        return f"{error} {error.hint} {error.__cause__}"
    return database.shown


def said_of_redis(url: str) -> str:
    try:
        return Connections(url).shown
    except ConfigurationError as error:
        return f"{error} {error.hint} {error.__cause__}"


@given(before=ANYTHING, after=ANYTHING, rest=st.sampled_from(["host/db", "host:1/d?sslmode=disable", "one:1,two:2/d"]))
def test_no_error_about_a_database_url_shows_its_credentials(before, after, rest):
    assert MARK not in said_of_database(f"postgresql://app:{before}{MARK}{after}@{rest}")


@given(before=ANYTHING, after=ANYTHING, rest=st.sampled_from(["host/0", "host:6379?db=1", "one:1,two:2"]))
def test_no_error_about_a_redis_url_shows_its_credentials(before, after, rest):
    assert MARK not in said_of_redis(f"redis://app:{before}{MARK}{after}@{rest}")


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://app:p@{MARK}@host/db",
        f"postgresql://tok/en:{MARK}@host/db",
        f"postgresql://app:12@{MARK}/x@host/db",
        f"postgresql://app:pw@host:{MARK}/db",
    ],
)
def test_a_password_that_would_be_taken_for_a_host_or_a_database_is_refused_with_what_to_write(url):
    with pytest.raises(ConfigurationError) as caught:
        Database(url, Settings())

    assert MARK not in str(caught.value)
    assert "%40" in str(caught.value.hint)


@pytest.mark.parametrize(
    "url", [f"redis://bob:99?{MARK}@host", f"redis://bob:99#{MARK}@host", f"redis://{MARK}?x@host"]
)
def test_a_redis_password_that_ends_after_a_question_mark_is_refused(url):
    with pytest.raises(ConfigurationError) as caught:
        Connections(url)

    assert MARK not in str(caught.value)


@pytest.mark.parametrize("name", sorted(SECRETS))
@pytest.mark.parametrize("url", ["postgresql://u:pa/{}@host/db", "redis://:pa/{}@host", "https://{}@host/1", "{}"])
def test_config_shows_no_secret(name, url):
    assert MARK not in show(name, url.format(MARK))


def test_a_secret_that_is_no_url_is_not_taken_for_one():
    assert show("api_secret", f"a://{MARK}") == "***"


def test_settings_show_no_secret_when_they_are_printed():
    settings = Settings(database_url=f"postgresql://u:{MARK}@h/d", redis_url=f"redis://:{MARK}@h", api_secret=MARK * 6)

    assert MARK not in repr(settings)
    assert MARK not in str(settings)


def test_messages_of_drivers_are_masked():
    assert mask("unexpected spaces found in 'a secret'", "a secret") == "unexpected spaces found in '***'"
    assert mask("refused", None) == "refused"
