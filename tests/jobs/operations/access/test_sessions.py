"""Sessions and links: whose they are, who may end them, and that signing in is on record."""

from __future__ import annotations

import pytest

from jobs.app import App
from jobs.errors import Forbidden, NotFound
from jobs.operations.access import sessions, sign_in
from jobs.operations.access.access_errors import Unauthenticated
from jobs.operations.access.users import create_user, disable_user, reset_password
from jobs.operations.audit import actions
from jobs.operations.audit.operator import ROLES, Operator
from tests.jobs.operations.access.credentials import PASSWORD, id_of, token
from tests.jobs.operations.access.credentials import admins as admins


@pytest.mark.parametrize("how", ["disable", "reset", "end the session", "end the link"])
def test_a_link_session_ends_as_any_other(app: App, ada: Operator, admins: list[str], how: str) -> None:
    """K2.2"""
    unused = sign_in.make_link(app, Operator("ann"))
    link = sign_in.make_link(app, Operator("ann"))
    opened = sign_in.sign_in_by_link(app, link, address="192.0.2.1")
    (session, other) = sessions.list_sessions(app, ada)
    assert (session.kind, session.address, session.parent_id is not None) == ("page", "192.0.2.1", True)
    assert other.kind == "link"

    if how == "disable":
        disable_user(app, ada, "ann")
    elif how == "reset":
        reset_password(app, ada, "ann", password="another good password")
    else:
        assert session.parent_id is not None
        sessions.end_session(app, ada, session.id if how == "end the session" else session.parent_id)

    with pytest.raises(Unauthenticated):
        sign_in.by_cookie(app, opened.secret)
    if how in ("disable", "reset"):
        assert sessions.list_sessions(app, ada) == []
        with pytest.raises(Unauthenticated):
            sign_in.sign_in_by_link(app, unused)


def test_a_link_under_a_users_name_is_that_users(app: App, ada: Operator) -> None:
    """K2.2: a child does not exceed its parent."""
    create_user(app, ada, "vic", password=PASSWORD, role="viewer")

    opened = sign_in.sign_in_by_link(app, sign_in.make_link(app, Operator("vic")))
    assert opened.identity.operator.permissions == ROLES["viewer"]

    disable_user(app, ada, "vic")
    with pytest.raises(Forbidden):
        sign_in.make_link(app, Operator("vic"))


def test_sessions_are_listed_and_ended_by_whose_they_are_and_by_who_sees_to_users(
    app: App, ada: Operator, admins: list[str]
) -> None:
    """K2.2"""
    create_user(app, ada, "vic", password=PASSWORD, role="viewer")
    vic = sign_in.sign_in(app, "vic", PASSWORD, kind="page", address="192.0.2.7").identity
    ann = sign_in.sign_in(app, "ann", PASSWORD, kind="api").identity
    by_token, _ = token(app, ada, "vic", "runs:read")

    assert [one.actor for one in sessions.list_sessions(app, vic.operator)] == ["vic"]
    assert {one.actor for one in sessions.list_sessions(app, ann.operator)} == {"ann", "vic"}
    assert sessions.list_sessions(app, by_token) == []
    with pytest.raises(NotFound):
        sessions.end_session(app, vic.operator, id_of(ann.operator))
    with pytest.raises(NotFound):
        sessions.end_session(app, by_token, id_of(vic.operator))
    sessions.end_session(app, ann.operator, id_of(vic.operator), reason="lost laptop")

    assert [one.actor for one in sessions.list_sessions(app, ada)] == ["ann"]
    (action, *_) = actions.list_actions(app, ada)
    assert (action["verb"], action["actor"], action["reason"]) == ("end", "ann", "lost laptop")


def test_signing_in_and_failing_to_are_on_record(app: App, ada: Operator) -> None:
    """K2.2"""
    create_user(app, ada, "ann", password=PASSWORD, role="admin")
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            sign_in.sign_in(app, "ann", "a wrong password", kind="page", address="192.0.2.1")
    with pytest.raises(Unauthenticated):
        sign_in.sign_in(app, "typed-a-password-here", "a wrong password", kind="page", address="192.0.2.1")
    sign_in.sign_in(app, "ann", PASSWORD, kind="page", address="192.0.2.1")
    sign_in.sign_in_by_link(app, sign_in.make_link(app, ada))

    told = [(one["verb"], one["actor"], one["target"], one["after"]) for one in actions.list_actions(app, ada)][:-1]

    assert [one[:3] for one in told] == [
        ("sign_in", ada.name, f"user {ada.name}"),
        ("link", ada.name, f"user {ada.name}"),
        ("sign_in", "ann", "user ann"),
        ("sign_in_failed", "(nobody)", "user ann"),
        ("sign_in_failed", "(nobody)", "user ann"),
    ]
    assert (told[0][3]["by"], told[2][3]["by"]) == ("link", "page")
    assert told[3][3] == {"address": "192.0.2.1", "failures": 2}
    assert "typed" not in str(told)
