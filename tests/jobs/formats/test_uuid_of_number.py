"""UUIDs from numbers are like those of Python's own constructor."""

from __future__ import annotations

import pickle
from uuid import UUID

import pytest

from jobs.formats.uuid_of_number import uuid_of_number


@pytest.mark.parametrize("number", [0, 1, 0x01A22DA65E2477728D0507AA81DCA532, 2**128 - 1])
def test_it_is_the_uuid_of_its_number(number: int) -> None:
    made, expected = uuid_of_number(number), UUID(int=number)

    assert type(made) is UUID
    assert (made, hash(made), str(made), made.is_safe) == (expected, hash(expected), str(expected), expected.is_safe)
    assert pickle.loads(pickle.dumps(made)) == expected
    with pytest.raises(TypeError):
        made.int = 5  # type: ignore[misc]
