"""Users, tokens and sessions, for the tests of this folder."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from jobs.app import App
from jobs.operations.access import sign_in
from jobs.operations.access.tokens import create_token
from jobs.operations.access.users import create_user
from jobs.operations.audit.operator import Operator

PASSWORD = "a long enough password"
DAY = timedelta(days=1)


@pytest.fixture
def admins(app: App, ada: Operator) -> list[str]:
    names = ["ann", "bob", "cid"]
    for name in names:
        create_user(app, ada, name, password=PASSWORD, role="admin")
    return names


def token(app: App, by: Operator, user: str, *permissions: str, lasts: timedelta = DAY) -> tuple[Operator, str]:
    """A token made by ``by``: who signs in with it, and its secret."""
    _, secret = create_token(app, by, user=user, name="t", permissions=permissions, lasts=lasts)
    return sign_in.by_token(app, secret).operator, secret


def id_of(by: Operator) -> UUID:
    assert by.credential is not None
    return by.credential.id
