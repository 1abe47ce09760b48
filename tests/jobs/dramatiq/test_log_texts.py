"""Log lines about messages have the texts of dramatiq's worker, which filters of logs and error reports know."""

from __future__ import annotations

import inspect

import dramatiq.worker
import pytest

from jobs.messages import perform


@pytest.mark.parametrize("name", ["SKIPPED", "RATE_LIMITED", "EXPECTED", "UNHANDLED"])
def test_a_log_line_has_dramatiqs_text(name: str) -> None:
    assert f'"{getattr(perform, name)}"' in inspect.getsource(dramatiq.worker)
