from __future__ import annotations

import os
from pathlib import Path

import pytest

from worker.supervisor.file_watch import Watch


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "jobs.py").write_text("A = 1")
    return tmp_path


def test_nothing_has_changed_at_first(folder: Path) -> None:
    watch = Watch([str(folder)])

    assert not watch.has_changed()


def test_a_file_that_is_written_added_or_removed_is_a_change_once(folder: Path) -> None:
    watch = Watch([str(folder)])
    source = folder / "shop" / "jobs.py"

    source.write_text("A = 22")
    assert watch.has_changed()
    assert not watch.has_changed()
    (folder / "new.py").write_text("")
    assert watch.has_changed()
    source.unlink()
    assert watch.has_changed()


def test_a_file_that_is_not_source_is_no_change(folder: Path) -> None:
    watch = Watch([str(folder)])

    for name in ("jobs.db", ".hidden.py"):
        (folder / name).write_text("x")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "jobs.py").write_text("x")

    assert not watch.has_changed()


def test_a_folder_that_is_not_there_is_watched_for(folder: Path) -> None:
    watch = Watch([str(folder / "later")])
    assert not watch.has_changed()

    os.mkdir(folder / "later")
    (folder / "later" / "a.py").write_text("")

    assert watch.has_changed()
