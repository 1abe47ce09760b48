"""How often a worker process looks for garbage: less often than Python, unless the application chose itself."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from worker.process.collection_threshold import OBJECTS, raise_collection_threshold


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


@pytest.mark.parametrize(("before", "after"), [(700, OBJECTS), (OBJECTS, OBJECTS), (50_000, 50_000), (0, 0)])
def test_only_a_lower_threshold_is_raised(before: int, after: int) -> None:
    gc.set_threshold(before, 10, 10)

    raise_collection_threshold()

    assert gc.get_threshold() == (after, 10, 10)
