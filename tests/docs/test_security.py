"""docs/security.md: the numbers and names in it are those of the code. (K2.11)"""

from __future__ import annotations

import re
from pathlib import Path

from admin_api.http import protocol, rate_limits
from admin_api.http.guard import MAX_BODY_BYTES
from admin_api.main import KEEP_ALIVE_SECONDS
from jobs.ledger.operators import rate_limits as limits
from jobs.operations.access import credentials, sign_in, sign_in_limits
from jobs.operations.audit import idempotency
from jobs.settings import SECRETS, Settings

PAGE = " ".join((Path(__file__).parents[2] / "docs" / "security.md").read_text().split())


def test_every_number_of_the_api_is_the_codes() -> None:
    settings = Settings()
    common = len([one for one in credentials.COMMON.read_text().splitlines() if not one.startswith("#")])
    minutes = sign_in_limits.ATTEMPTS_WITHIN.total_seconds() / 60

    assert (protocol.MAX_HEADER_BYTES, MAX_BODY_BYTES) == (32 * 1024, 2**20)
    said = [
        f"{protocol.HEAD_SECONDS:.0f} seconds to receive a head, {protocol.BODY_SECONDS:.0f} for a body, "
        f"{protocol.ANSWER_SECONDS:.0f} to make and send a response",
        f"is closed after {KEEP_ALIVE_SECONDS}.",
        f"Above {protocol.MOST_CONNECTIONS} connections",
        f"{credentials.MIN_PASSWORD} to {credentials.MAX_PASSWORD} characters",
        f"about {round(common, -2)} common passwords",
        f"up to {minutes:.0f}.",
        f"within {sign_in_limits.KNOWN_SPAN.days} days",
        f"{settings.api_token_rate} changes a minute, a user {settings.api_user_rate}, a sixth",
    ]
    assert [one for one in said if one not in PAGE] == []
    assert (
        sign_in_limits.MAX_ATTEMPTS,
        limits.FIRST_DELAY.total_seconds(),
        rate_limits.BURST,
        idempotency.KEPT.days,
    ) == (5, 60, 6, 1)
    assert sign_in.REFRESH_LIFETIME < sign_in.FAMILY_LIFETIME


def test_the_secrets_that_may_be_files_are_those() -> None:
    section = PAGE.partition("## Secrets")[2].partition("may be files")[0]

    assert set(re.findall(r"`JOBS_(\w+)`", section)) == {name.upper() for name in SECRETS}
