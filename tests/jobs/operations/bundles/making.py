"""Bundles of a ledger with a few runs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobs.app import App
from jobs.ledger.queries.selectors import Selector
from jobs.operations.audit.operator import Operator
from jobs.operations.bundles.manifest import Manifest
from jobs.operations.bundles.read import open_bundle
from jobs.operations.bundles.write import make_bundle

EVERY = Selector(is_all=True)
Make = Callable[..., Path]


@pytest.fixture
def make(app: App, ada: Operator, tmp_path: Path) -> Make:
    def made(selector: Selector = EVERY, name: str = "incident.jlb", by: Operator = ada, **given: object) -> Path:
        make_bundle(app, by, selector, tmp_path / name, **{"limit": 200, **given})  # type: ignore[arg-type]
        return tmp_path / name

    return made


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[Path], tuple[App, Manifest]]]:
    apps: list[App] = []

    def opening(path: Path) -> tuple[App, Manifest]:
        app, manifest = open_bundle(path, Path(tempfile.mkdtemp(dir=tmp_path)))
        apps.append(app)
        return app, manifest

    yield opening
    for one in apps:
        one.close()
