"""What a worker looks at before it starts."""

from __future__ import annotations

import pytest

from admin_cli.options import Globals
from admin_cli.worker import _look
from tests.server_process import free_port


@pytest.mark.parametrize("redis", ["redis://:s3cret@127.0.0.1:{port}/0", "rediss://app:s3cret@127.0.0.1:{port}/0"])
def test_a_redis_that_does_not_serve_is_one_line_and_does_not_stop_the_worker(pg_database, capsys, redis):
    _look(Globals(database_url=pg_database, redis_url=redis.format(port=free_port())), {})

    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("warning: Redis at ")
    assert "JOBS_REDIS_URL" in said[0]
    assert "s3cret" not in said[0]
