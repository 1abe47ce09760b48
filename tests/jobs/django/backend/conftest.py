"""The tasks of the project, and a fixture that performs one."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.testing import Ledger


@pytest.fixture
def tasks(project: str) -> Any:
    from tests.django_project.shop import tasks

    return tasks


@pytest.fixture
def perform(performing: Ledger, tasks: Any) -> Any:
    """Enqueues a task and performs it once; returns its result, reloaded."""

    def perform(task: Any, *args: Any, **kwargs: Any) -> Any:
        result = task.enqueue(*args, **kwargs)
        performing.drain()
        result.refresh()
        return result

    return perform
