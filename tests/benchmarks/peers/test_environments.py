"""benchmarks/peers/environments.py: an environment is made once, and a library that cannot be had says why."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.peers import environments
from benchmarks.peers.environments import Missing, python_of, versions
from benchmarks.peers.peer import Peer


class Some(Peer):
    package = "some"
    requires = ("some==1.0", "other==2.0")


def test_jobledger_is_measured_in_the_environment_of_the_driver() -> None:
    class Ours(Peer):
        requires = ()

    assert python_of(Ours("ours"), None) == Path(sys.executable)
    assert versions(Path(sys.executable), "pytest") == {
        "version": pytest.__version__, "python": ".".join(map(str, sys.version_info[:3]))
    }  # fmt: skip


def test_an_environment_with_the_same_pins_is_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "FOLDER", tmp_path)
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "installed").write_text("some==1.0\nother==2.0")

    assert python_of(Some("some"), None) == tmp_path / "some" / "bin" / "python"


def test_a_library_that_no_python_here_is_new_enough_for_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Newer(Some):
        python = (3, 99)

    monkeypatch.setattr(environments, "FOLDER", tmp_path)

    with pytest.raises(Missing, match=r"it needs Python 3\.99 or later; name one with --python"):
        python_of(Newer("newer"), sys.executable)
