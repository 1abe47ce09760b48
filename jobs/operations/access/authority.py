"""Checks that an operator's credential is still valid, in the transaction that changes users or credentials.

The operator's permissions were checked when the request arrived. Two admins who disable each other at the same time
were both admins then.
"""

from __future__ import annotations

from collections.abc import Iterable

from jobs.database.sql import Executor
from jobs.errors import Forbidden
from jobs.ledger.moment import ledger_moment
from jobs.ledger.operators import sessions, tokens, users
from jobs.ledger.operators.users import UserRecord
from jobs.operations.access.access_errors import Unauthenticated
from jobs.operations.audit.operator import ROLES, Operator, Permission


def hold(session: Executor, operator: Operator, names: Iterable[str] = ()) -> dict[str, UserRecord]:
    """Lock the operator's user, their credential (which must be valid) and the users of these names.

    Returns:
        The users of these names that exist, as they are now.

    Raises:
        Unauthenticated: the credential has ended meanwhile, or its user was disabled.
    """
    wanted = set(names)
    locked = users.lock_users(session, wanted | {operator.name})
    credential = operator.credential
    if credential is not None:
        lock = tokens.lock_token if credential.is_token else sessions.lock_session
        mine = locked.get(operator.name)
        if lock(session, credential.id) is None or (credential.user_id is not None and not _may_sign_in(session, mine)):
            raise Unauthenticated("Your session or token has ended meanwhile.", hint="Sign in again.")
    return {name: user for name, user in locked.items() if name in wanted}


def check_still_admin(session: Executor, operator: Operator) -> None:
    """Check that an operator who removes another's rights still has their own; the caller has called ``hold``.

    So one of two admins who disable each other at the same time stays. An operator without a user is at the command
    line.

    Raises:
        Forbidden: they are disabled, or may no longer manage users.
    """
    user = users.find_user(session, operator.name)
    if user is not None and not (_may_sign_in(session, user) and Permission.USERS_WRITE in ROLES[user.role]):
        raise Forbidden(
            f"{operator.name} may no longer manage users.",
            hint="Another admin can; at the command line, set JOBS_ACTOR.",
        )


def _may_sign_in(session: Executor, user: UserRecord | None) -> bool:
    if user is None or user.is_disabled:
        return False
    return user.expires_at is None or user.expires_at > ledger_moment(session)
