"""Settings of Django for a block, and the error that refuses a task."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def django_settings(**changed: Any) -> Iterator[None]:
    from django.test import override_settings

    with override_settings(**changed):
        yield


def refused(match: str) -> Any:
    from jobs.django.framework import InvalidTask

    return pytest.raises(InvalidTask, match=match)
