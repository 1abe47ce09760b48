"""Lists the sessions of users, and ends them."""

from __future__ import annotations

from uuid import UUID

from jobs.app import App
from jobs.errors import NotFound
from jobs.ledger.operators import sessions
from jobs.ledger.operators.sessions import SessionRecord
from jobs.operations.access.sign_in import PAGE_IDLE
from jobs.operations.audit.entry import check_reason, record_entry
from jobs.operations.audit.operator import Operator, Permission


def list_sessions(
    app: App, operator: Operator, *, user: str | None = None, before: UUID | None = None, limit: int = 50
) -> list[SessionRecord]:
    """Valid sessions and links, newest first: all of them for operators who manage users, else one's own.

    A token without that permission sees none: sessions are not its purpose.
    """
    if not operator.may(Permission.USERS_WRITE):
        if operator.credential is not None and operator.credential.is_token:
            return []
        user = operator.name
    with app.database.read() as connection:
        return sessions.list_sessions(connection, idle=PAGE_IDLE, user=user, before=before, limit=limit)


def end_session(app: App, operator: Operator, session_id: UUID, *, reason: str | None = None) -> SessionRecord:
    """End a session at once, or a link and the sessions it opened. One that has ended already is no error.

    Raises:
        NotFound: there is none, or none that the operator may end.
    """
    check_reason(app, reason)
    with app.database.write(urgent=True) as connection:
        found = sessions.find_session(connection, session_id)
        if found is None or not _may_end(operator, found):
            raise NotFound(f"There is no session {session_id}.", hint="jobledger sessions list shows those there are.")
        if sessions.revoke(connection, session_id):
            said = {"user": found.actor, "kind": found.kind}
            record_entry(
                connection, "end", operator, target=str(session_id), what="session", reason=reason, before=said
            )
    return found


def _may_end(operator: Operator, found: SessionRecord) -> bool:
    if operator.may(Permission.USERS_WRITE):
        return True
    is_token = operator.credential is not None and operator.credential.is_token
    return found.actor == operator.name and not is_token
