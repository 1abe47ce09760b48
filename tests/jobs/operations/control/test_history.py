"""History on a ledger that cannot have it: refused with what to do instead, and nothing changes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from jobs.app import App
from jobs.errors import ConfigurationError, Conflict
from jobs.operations.audit.actions import list_actions
from jobs.operations.audit.operator import Operator
from jobs.operations.control.history import disable_history, enable_history, history_status


def test_sqlite_has_no_history_and_says_what_to_do_instead(
    sqlite_url: str, make_app: Callable[..., App], ada: Operator
) -> None:
    app = make_app(sqlite_url)

    with pytest.raises(ConfigurationError, match="SQLite has no partitions") as refused:
        enable_history(app, ada, reason="a year")
    with pytest.raises(Conflict, match="off already") as off:
        disable_history(app, ada)

    assert "jobledger queues retain" in str(refused.value.hint)
    assert off.value.hint is None
    assert history_status(app, ada).state == "off"
    assert list_actions(app, ada) == []
