"""The file of keys: what is no such file is named, nobody else may read it, and a change is seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.app import App
from jobs.errors import ConfigurationError
from jobs.sealing.keys import HASH, Keys, new_key, read_key_set
from jobs.sealing.seal_errors import SealKeyMissing
from tests.manual_clock import ManualClock

KEY, SHORT = "a2V5cyBvZiB0ZXN0cyBoYXZlIHRoaXJ0eS10d28gYi4=", "c2hvcnQ="
"""A key of 32 bytes; always the same, since every test process must collect the same parameters."""


def file(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "keys"
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("text", "mode", "reason"),
    [
        (f"a {KEY}\n{HASH} {KEY}\n", 0o604, "every user of this machine may read"),
        (f"{HASH} {KEY}\n", 0o600, "lacks a key that seals"),
        (f"a {KEY}\n", 0o600, "lacks a key called hash"),
        (f"a {KEY}\na {KEY}\n{HASH} {KEY}\n", 0o600, "Line 2 of .* is no key"),
        (f"a {SHORT}\n{HASH} {KEY}\n", 0o600, "Line 1 of .* is no key"),
        (f"{KEY}\n", 0o600, "Line 1 of .* is no key"),
    ],
)
def test_a_file_that_cannot_serve_is_refused_without_a_word_of_its_keys(
    tmp_path: Path, text: str, mode: int, reason: str
) -> None:
    with pytest.raises(ConfigurationError, match=reason) as told:
        read_key_set(file(tmp_path, text, mode))

    assert KEY not in str(told.value)
    assert SHORT not in str(told.value)


def test_the_first_key_seals_and_comments_are_ignored(tmp_path: Path) -> None:
    key_set = read_key_set(file(tmp_path, f"# keys\n\nnew {KEY}  # from 2027\nold {new_key()}\n{HASH} {KEY}\n", 0o640))

    assert (key_set.first, list(key_set.ciphers)) == ("new", ["new", "old"])
    assert KEY not in repr(key_set)


def test_a_changed_file_is_read_again_and_one_that_became_invalid_changes_nothing(
    tmp_path: Path, make_app, caplog: pytest.LogCaptureFixture
) -> None:
    path = file(tmp_path, f"one {KEY}\n{HASH} {KEY}\n")
    app: App = make_app(f"sqlite:///{tmp_path}/jobs.db", clock=ManualClock(), seal_keys_file=path)
    keys = Keys()
    assert keys.key_set(app).first == "one"

    path.write_text(f"two {new_key()}\none {KEY}\n{HASH} {KEY}\n")
    assert keys.cipher(app, "two")  # A value that names it is reason to look at once.
    path.write_text("nonsense")
    assert keys.key_set(app, look=True).first == "two"

    assert "Keys of sealed values not read again" in caplog.text
    with pytest.raises(SealKeyMissing, match="'three', which is not in") as told:
        keys.cipher(app, "three")
    assert told.value.key_id == "three"
