"""Which passwords are refused. (K2.11)"""

from __future__ import annotations

from typing import Any

import pytest

from jobs.operations.access import credentials
from jobs.operations.access.access_errors import CredentialRefused
from jobs.operations.access.credentials import COMMON, check_password, hash_password, is_common


@pytest.mark.parametrize(
    "password",
    [
        "password1234", "Password1234", "PASSWORD2024!", "passwordpassword", "Passw0rdPassw0rd", "p@ssw0rd12345",
        "qwertyuiop123", "1qaz2wsx3edc", "1q2w3e4r5t6y", "123456789012", "000000012345", "iloveyou1234",
        "adminadminadmin", "administrator", "letmein12345", "  password  1", "welcome-2026-!", "jobledger2026",
        "secretsecret", "!!!dragon1234", "monkey.monkey.monkey",
    ],
)  # fmt: skip
def test_common_passwords_and_simple_variants_are_refused(password: str) -> None:
    with pytest.raises(CredentialRefused):
        check_password(password, name="ada")


@pytest.mark.parametrize(
    "password",
    [
        "a long enough password", "correct horse battery staple", "another good password", "fox-orbit-93-lantern",
        "zL9#vq2!mTr8", "my dragon eats lamps", "Grüße aus der Küche", "nächtlicher zug 7",
    ],
)  # fmt: skip
def test_passphrases_and_random_passwords_are_accepted(password: str) -> None:
    check_password(password, name="ada")


def test_the_list_that_ships_is_small_and_every_line_of_it_is_refused() -> None:
    lines = [one for one in COMMON.read_text().splitlines() if not one.startswith("#")]

    assert 300 < len(lines) < 2000
    assert COMMON.stat().st_size < 20_000
    assert [one for one in lines if not is_common(one)] == []
    assert [one for one in lines if one.isalpha() and not is_common(f"{one.capitalize()}2026!")] == []


def test_the_product_hashes_at_the_cost_of_rfc_9106(
    cheap_passwords: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "COST", cheap_passwords)

    assert hash_password("a long enough password").startswith("$argon2id$v=19$m=65536,t=3,p=4$")
