"""Users, tokens, sessions and limits, on each dialect."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from jobs.app import App
from jobs.errors import Conflict, Forbidden, NotFound
from jobs.ledger.operators import rate_limits
from jobs.operations.access import sign_in
from jobs.operations.access.access_errors import CredentialRefused, TooManyAttempts, Unauthenticated
from jobs.operations.access.tokens import create_token, list_tokens
from jobs.operations.access.users import change_role, create_user, disable_user, list_users, reset_password
from jobs.operations.audit import actions as audit
from jobs.operations.audit.operator import ROLES, Operator

PASSWORD = "a long enough password"


def stored(app: App) -> str:
    """All that the tables of access hold, as one text."""
    names = ("operator_users", "operator_sessions", "operator_refreshes", "operator_tokens", "operator_limits")
    statements = {
        "operator_users": "select * from operator_users",
        "operator_sessions": "select * from operator_sessions",
        "operator_refreshes": "select * from operator_refreshes",
        "operator_tokens": "select * from operator_tokens",
        "operator_limits": "select * from operator_limits",
    }
    with app.database.read() as connection:
        return repr([[list(row) for row in connection.execute(text(statements[name]))] for name in names])


def test_the_ledger_keeps_no_secret_that_signs_in(app: App, ada: Operator) -> None:
    create_user(app, ada, "bob", password=PASSWORD, role="operator")
    page = sign_in.sign_in(app, "bob", PASSWORD, kind="page", address="192.0.2.1").secret
    api = sign_in.sign_in(app, "bob", PASSWORD, kind="api").secret
    link = sign_in.make_link(app, ada)
    _, token = create_token(
        app, ada, user="bob", name="ci", permissions=["runs:read"], lasts=timedelta(days=1)
    )  # fmt: skip

    kept = stored(app)

    assert "bob" in kept
    assert "$argon2id$" in kept
    assert [secret for secret in (PASSWORD, page, api, link, token) if secret in kept] == []


def test_changes_of_users_and_tokens_are_audited(app: App, ada: Operator) -> None:
    create_user(app, ada, "bob", password=PASSWORD, role="viewer", reason="new in the team")
    change_role(app, ada, "bob", role="operator")
    reset_password(app, ada, "bob", password="another good password")
    create_token(app, ada, user="bob", name="ci", permissions=["runs:read"], lasts=timedelta(days=1))
    disable_user(app, ada, "bob")

    actions = audit.list_actions(app, ada)

    assert [one["verb"] for one in actions] == ["disable", "create", "reset", "role", "create"]
    assert {one["actor"] for one in actions} == {"ada@desk"}
    assert actions[-1]["reason"] == "new in the team"
    assert (actions[3]["before"]["role"], actions[3]["after"]["role"]) == ("viewer", "operator")


def test_only_operators_with_the_permission_for_users_may_change_them(app: App, ada: Operator) -> None:
    create_user(app, ada, "bob", password=PASSWORD, role="operator")
    bob = Operator("bob", ROLES["operator"])

    with pytest.raises(Forbidden, match="users:write"):
        create_user(app, bob, "eve", password=PASSWORD, role="admin")
    with pytest.raises(Forbidden, match="users:write"):
        change_role(app, bob, "bob", role="admin")
    with pytest.raises(Forbidden):
        list_users(app, bob)


def test_a_token_never_allows_more_than_its_user_or_its_maker_may(app: App, ada: Operator) -> None:
    create_user(app, ada, "bob", password=PASSWORD, role="viewer")
    create_user(app, ada, "eve", password=PASSWORD, role="admin")

    with pytest.raises(Forbidden, match="users:write"):
        create_token(app, ada, user="bob", name="x", permissions=["users:write"], lasts=timedelta(days=1))
    few = Operator("eve", ROLES["viewer"])
    with pytest.raises(Forbidden):
        create_token(app, few, user="eve", name="x", permissions=["runs:purge"], lasts=timedelta(days=1))
    with pytest.raises(Forbidden):
        create_token(
            app, Operator("bob", ROLES["viewer"]), user="eve", name="x", permissions=["runs:read"],
            lasts=timedelta(days=1),
        )  # fmt: skip
    assert list_tokens(app, ada) == []


@pytest.mark.parametrize("lasts", [timedelta(0), timedelta(days=-1), timedelta(days=367)])
def test_a_token_ends_within_a_year(app: App, ada: Operator, lasts: timedelta) -> None:
    create_user(app, ada, "bob", password=PASSWORD, role="viewer")

    with pytest.raises(CredentialRefused):
        create_token(app, ada, user="bob", name="x", permissions=["runs:read"], lasts=lasts)


@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaaaaaa", "my name is bob!!", "x" * 257])
def test_a_password_that_is_easy_to_guess_is_refused(app: App, ada: Operator, password: str) -> None:
    with pytest.raises(CredentialRefused):
        create_user(app, ada, "bob", password=password, role="viewer")

    assert list_users(app, ada) == []


@pytest.mark.parametrize("name", ["", " ", "a b", "<script>", "ünï", "a" * 101, "../x", "a\nb", "-x"])
def test_an_invalid_name_is_refused(app: App, ada: Operator, name: str) -> None:
    with pytest.raises(CredentialRefused):
        create_user(app, ada, name, password=PASSWORD, role="viewer")


def test_a_name_is_taken_once_however_it_is_written(app: App, ada: Operator) -> None:
    create_user(app, ada, "Bob", password=PASSWORD, role="viewer")

    with pytest.raises(Conflict):
        create_user(app, ada, " bOB ", password=PASSWORD, role="admin")


def test_nobody_disables_or_promotes_themselves(app: App, ada: Operator) -> None:
    create_user(app, ada, "bob", password=PASSWORD, role="admin")
    bob = Operator("bob")

    with pytest.raises(Conflict):
        disable_user(app, bob, "bob")
    with pytest.raises(Conflict):
        change_role(app, bob, "bob", role="viewer")
    with pytest.raises(NotFound):
        disable_user(app, bob, "nobody")


def test_five_attempts_at_once_are_allowed_and_no_more(app: App) -> None:
    now = datetime.now(UTC)

    def one_try(_: int) -> bool:
        with app.database.write() as connection:
            keys = ["account:x", "address:y"]
            return rate_limits.try_once(connection, keys, now=now, most=5, within=timedelta(minutes=15)) is None

    with ThreadPoolExecutor(8) as pool:
        let = list(pool.map(one_try, range(12)))

    assert sum(let) == 5


def test_a_sixth_address_of_an_ipv6_network_is_the_same_address(app: App, ada: Operator) -> None:
    for n in range(5):
        with pytest.raises(Unauthenticated):
            sign_in.sign_in(app, f"name-{n}", PASSWORD, kind="page", address=f"2001:db8:0:1::{n}")

    with pytest.raises(TooManyAttempts):
        sign_in.sign_in(app, "name-6", PASSWORD, kind="page", address="2001:db8:0:1:ffff::1")
    with pytest.raises(Unauthenticated):
        sign_in.sign_in(app, "name-7", PASSWORD, kind="page", address="2001:db8:0:2::1")


def test_a_link_signs_in_once(app: App, ada: Operator) -> None:
    link = sign_in.make_link(app, ada)

    opened = sign_in.sign_in_by_link(app, link)

    assert opened.identity.operator == ada
    assert sign_in.by_cookie(app, opened.secret).operator == ada
    with pytest.raises(Unauthenticated):
        sign_in.sign_in_by_link(app, link)


def test_a_refresh_token_used_twice_at_once_succeeds_once_and_ends_the_session(app: App, ada: Operator) -> None:
    create_user(app, ada, "bob", password=PASSWORD, role="viewer")
    opened = sign_in.sign_in(app, "bob", PASSWORD, kind="api")

    def ask(_: int) -> bool:
        try:
            sign_in.refresh(app, opened.secret)
        except Unauthenticated:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        given = list(pool.map(ask, range(4)))

    assert sum(given) <= 1
    assert opened.identity.session_id is not None
    with pytest.raises(Unauthenticated):
        sign_in.by_session(app, opened.identity.session_id)
