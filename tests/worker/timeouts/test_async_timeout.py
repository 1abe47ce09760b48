"""A coroutine under a time limit, that can be cancelled from any thread and at any moment."""

from __future__ import annotations

import asyncio

import pytest

from jobs.errors import Cancelled
from worker.timeouts.async_timeout import Limited


# K.1: an attempt is interrupted once for a lost lease.
def test_a_coroutine_cancelled_before_its_start_is_cancelled_when_it_starts():
    limited = Limited()
    limited.interrupt_soon(Cancelled)

    with pytest.raises(Cancelled):
        asyncio.run(limited.perform(asyncio.sleep(5), None))
