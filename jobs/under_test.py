"""Tells whether this process runs pytest, so that a test cannot destroy data in the ledger of the environment."""

from __future__ import annotations

from jobs.errors import ConfigurationError

is_pytest = False
"""Set by the pytest plugin."""


def refuse_ledger_of_environment(url: str | None) -> None:
    """Refuse to destroy data in the ledger at ``url``, if a test asks for it and the environment names that ledger.

    Raises:
        ConfigurationError: says how to use a ledger for tests.
    """
    from jobs.settings import Settings

    if is_pytest and url == Settings.read().database_url:
        raise ConfigurationError(
            "A test would cancel every message that waits in the ledger that the environment names.",
            hint="Ask for the fixture jobs_ledger, or name a ledger for tests in code: jobs.configure(database_url=…).",
        )
