"""What the tests of actions keep for each other."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from jobs import boot
from jobs.settings import Settings
from tests.admin_api.pages import filled


@pytest.fixture(scope="session")
def filled_ledger(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, filled.Places]:
    """A filled ledger that each test copies: to fill one takes hundreds of transactions."""
    path = Path(shutil.copy(sqlite_template, tmp_path_factory.mktemp("filled") / "jobs.db"))
    app = boot.build(Settings.read(database_url=f"sqlite:///{path}"))
    with pytest.MonkeyPatch.context() as patch, closing(app):
        patch.setattr(boot, "_app", app)
        return path, filled.fill(app)
