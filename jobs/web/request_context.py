"""What a request gives to the runs that it enqueues: its correlation id, and its trace."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from jobs import boot
from jobs.clock import new_token
from jobs.runtime.context import correlate

REQUEST_ID = "x-request-id"
_ID = re.compile(r"[A-Za-z0-9._\-]{8,64}")


@contextmanager
def in_request(header: Callable[[str], str | None]) -> Iterator[str]:
    """Give the request's ``X-Request-ID`` to everything enqueued or logged in the block; a new id if it has none.

    With ``JOBS_TRACING``, runs continue the trace that ``traceparent`` names, unless the application has its own span.

    Args:
        header: the value of a header by its name in lower case; None if there is none.
    """
    given = header(REQUEST_ID) or ""
    request_id = given if _ID.fullmatch(given) else new_token().hex[:16]
    app = boot.existing()
    with ExitStack() as stack:
        stack.enter_context(correlate(request_id))
        if app is not None and app.settings.tracing:
            from jobs.observe.trace import continuing

            stack.enter_context(continuing(header("traceparent")))
        yield request_id
