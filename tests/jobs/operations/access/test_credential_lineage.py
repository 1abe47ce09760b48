"""Credentials are one family: what is made ends with its maker and allows no more. On each dialect. (K.9, K2.2)"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier

import pytest

from jobs.app import App
from jobs.errors import Forbidden, NotFound
from jobs.operations.access import sign_in
from jobs.operations.access.access_errors import CredentialRefused, Unauthenticated
from jobs.operations.access.tokens import create_token, list_tokens, revoke_token
from jobs.operations.access.users import change_role, create_user, disable_user, list_users, reset_password
from jobs.operations.audit import actions
from jobs.operations.audit.operator import ROLES, Operator
from tests.jobs.operations.access.credentials import DAY, PASSWORD, id_of, token
from tests.jobs.operations.access.credentials import admins as admins


def end_of(by: Operator) -> datetime:
    assert by.credential is not None
    return by.credential.expires_at


def serves(app: App, secret: str) -> bool:
    try:
        sign_in.by_token(app, secret)
    except Unauthenticated:
        return False
    return True


def active_admins(app: App, ada: Operator) -> set[str]:
    return {one.name for one in list_users(app, ada) if one.role == "admin" and not one.is_disabled}


@pytest.mark.parametrize("how", ["disable", "demote", "both"])
@pytest.mark.parametrize("number", [2, 3])
def test_one_admin_remains_when_two_demote_each_other_at_once(
    app: App, ada: Operator, admins: list[str], how: str, number: int
) -> None:
    """K.9: the rule is in the transaction, with a lock."""
    circle = admins[:number]
    for name in admins[number:]:
        disable_user(app, ada, name)
    together = Barrier(number)

    def act(n: int) -> str:
        by, other = Operator(circle[n]), circle[(n + 1) % number]
        together.wait(60)
        try:
            if how == "disable" or (how == "both" and n % 2):
                disable_user(app, by, other)
            else:
                change_role(app, by, other, role="viewer")
        except Forbidden:
            return "refused"
        return "done"

    with ThreadPoolExecutor(number) as pool:
        ended = list(pool.map(act, range(number)))

    assert "refused" in ended
    assert active_admins(app, ada)


def test_a_disabled_user_changes_nothing_with_an_earlier_session(app: App, ada: Operator, admins: list[str]) -> None:
    """K.9: a credential is looked at again where it acts."""
    by_session = sign_in.sign_in(app, "ann", PASSWORD, kind="api").identity.operator
    by_token, _ = token(app, ada, "ann", "users:write", "runs:read")
    disable_user(app, ada, "ann")

    acts: list[Callable[[Operator], object]] = [
        lambda by: create_user(app, by, "eve", password=PASSWORD, role="viewer"),
        lambda by: disable_user(app, by, "bob"),
        lambda by: change_role(app, by, "bob", role="viewer"),
        lambda by: reset_password(app, by, "bob", password="another good password"),
        lambda by: create_token(app, by, user="bob", name="t", permissions=["runs:read"], lasts=DAY),
    ]
    for act in acts:
        for by in (by_session, by_token):
            with pytest.raises((Unauthenticated, Forbidden)):
                act(by)

    assert active_admins(app, ada) == {"bob", "cid"}
    assert {one.name for one in list_users(app, ada)} == {"ann", "bob", "cid"}


def test_the_last_admin_can_be_disabled_at_the_command_line(app: App, ada: Operator) -> None:
    create_user(app, ada, "ann", password=PASSWORD, role="admin")

    disable_user(app, ada, "ann")

    assert active_admins(app, ada) == set()


def test_a_token_makes_none_that_outlives_it(app: App, ada: Operator, admins: list[str]) -> None:
    """K2.2"""
    by, _ = token(app, ada, "ann", "runs:read", lasts=timedelta(seconds=86))

    for lasts in (timedelta(days=366), DAY, timedelta(seconds=90)):
        with pytest.raises(CredentialRefused, match="outlive"):
            token(app, by, "ann", "runs:read", lasts=lasts)

    made, _ = token(app, by, "ann", "runs:read", lasts=timedelta(seconds=30))
    assert end_of(made) <= end_of(by)


def test_a_revoked_token_takes_all_that_it_made_with_it(app: App, ada: Operator, admins: list[str]) -> None:
    """K2.2: children, their children, and users that they made, with all that those hold."""
    root, root_secret = token(app, ada, "ann", *ROLES["admin"], lasts=10 * DAY)
    child, child_secret = token(app, root, "ann", *ROLES["admin"], lasts=5 * DAY)
    _, other_secret = token(app, child, "bob", "runs:read")
    user = create_user(app, child, "eve", password=PASSWORD, role="operator")
    eve = sign_in.sign_in(app, "eve", PASSWORD, kind="page")
    _, eves = token(app, eve.identity.operator, "eve", "runs:read")
    _, sibling = token(app, ada, "ann", "runs:read")
    assert user.expires_at == end_of(child)
    assert user.parent_id == id_of(child)
    assert all(serves(app, one) for one in (child_secret, other_secret, eves, sibling))

    revoke_token(app, ada, id_of(root), reason="leaked")

    assert [serves(app, one) for one in (root_secret, child_secret, other_secret, eves)] == [False] * 4
    assert serves(app, sibling)
    with pytest.raises(Unauthenticated):
        sign_in.by_cookie(app, eve.secret)
    with pytest.raises(Unauthenticated):
        sign_in.sign_in(app, "eve", PASSWORD, kind="page")
    (action, *_) = actions.list_actions(app, ada)
    assert (action["verb"], action["reason"]) == ("revoke", "leaked")
    assert action["after"] == {"tokens_made_by_it": 2, "users_made_by_it": 1}


def test_revoking_a_token_is_on_record_once(app: App, ada: Operator, admins: list[str]) -> None:
    """K2.2"""
    made, _ = create_token(app, ada, user="ann", name="ci", permissions=["runs:read"], lasts=DAY)

    for _ in range(2):
        revoke_token(app, ada, made.id, reason="leaked")

    found = [one for one in actions.list_actions(app, ada) if one["verb"] == "revoke"]
    assert [(one["actor"], one["target"], one["reason"]) for one in found] == [
        (ada.name, f"token {made.id}", "leaked"),
    ]


@pytest.mark.parametrize("how", ["disable", "demote"])
def test_users_that_a_token_made_end_with_the_rights_of_its_user(
    app: App, ada: Operator, admins: list[str], how: str
) -> None:
    """K2.2"""
    by, _ = token(app, ada, "ann", *ROLES["admin"])
    _, own = token(app, by, "ann", "runs:read", lasts=DAY / 2)
    _, wide = token(app, by, "bob", "runs:replay", lasts=DAY / 2)
    _, narrow = token(app, by, "bob", "runs:read", lasts=DAY / 2)

    if how == "disable":
        disable_user(app, ada, "ann")
        assert [serves(app, one) for one in (own, wide, narrow)] == [False] * 3
        disable_user(app, ada, "ann", is_disabled=False)
        assert [serves(app, one) for one in (own, wide, narrow)] == [True, False, False]
    else:
        change_role(app, ada, "ann", role="viewer")
        assert [serves(app, one) for one in (own, wide, narrow)] == [True, False, True]


def test_a_token_gives_no_role_beyond_itself_and_sets_no_password(app: App, ada: Operator, admins: list[str]) -> None:
    """K2.2: each would be a way out of its bounds."""
    by, _ = token(app, ada, "ann", "users:write", "runs:read")
    create_user(app, ada, "vic", password=PASSWORD, role="viewer")
    disable_user(app, ada, "cid")

    acts: list[Callable[[], object]] = [
        lambda: create_user(app, by, "eve", password=PASSWORD, role="operator"),
        lambda: change_role(app, by, "vic", role="admin"),
        lambda: disable_user(app, by, "cid", is_disabled=False),
        lambda: reset_password(app, by, "vic", password="another good password"),
        lambda: reset_password(app, by, "ann", password="another good password"),
    ]
    for act in acts:
        with pytest.raises(Forbidden):
            act()


def test_a_user_for_a_time_has_no_session_and_no_token_beyond_it(app: App, ada: Operator) -> None:
    """K2.2"""
    user = create_user(app, ada, "ann", password=PASSWORD, role="operator", lasts=timedelta(hours=1))
    assert user.expires_at is not None

    opened = sign_in.sign_in(app, "ann", PASSWORD, kind="api")

    assert end_of(opened.identity.operator) <= user.expires_at
    with pytest.raises(CredentialRefused, match="outlive its user"):
        token(app, ada, "ann", "runs:read", lasts=DAY)


def test_a_token_ends_itself_and_what_it_made_and_no_other_of_its_user(app: App, ada: Operator) -> None:
    """K2.2"""
    create_user(app, ada, "vic", password=PASSWORD, role="viewer")
    by, _ = token(app, ada, "vic", "runs:read")
    child, _ = token(app, by, "vic", "runs:read", lasts=DAY / 2)
    other, other_secret = token(app, ada, "vic", "runs:read")

    with pytest.raises(NotFound):
        revoke_token(app, by, id_of(other))
    revoke_token(app, by, id_of(child))
    revoke_token(app, by, id_of(by))

    assert serves(app, other_secret)
    assert sum(one.revoked_at is not None for one in list_tokens(app, ada)) == 2


def test_a_token_made_while_its_maker_is_revoked_ends_too(app: App, ada: Operator, admins: list[str]) -> None:
    """K2.2: whoever wins, nothing is left."""
    for _ in range(5):
        by, _ = token(app, ada, "ann", "runs:read", lasts=2 * DAY)
        together = Barrier(2)
        made: list[str] = []

        def make(by: Operator = by, together: Barrier = together, made: list[str] = made) -> None:
            together.wait(60)
            try:
                made.append(token(app, by, "ann", "runs:read")[1])
            except Unauthenticated:
                return

        def revoke(by: Operator = by, together: Barrier = together) -> None:
            together.wait(60)
            revoke_token(app, ada, id_of(by))

        with ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(make), pool.submit(revoke)]:
                done.result(30)
        assert [one for one in made if serves(app, one)] == []
