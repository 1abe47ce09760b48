"""What a request gives to the runs that it enqueues: its correlation id, and its trace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from jobs import boot
from jobs.runtime.context import correlate, request_id

REQUEST_ID = "x-request-id"


@contextmanager
def in_request(header: Callable[[str], str | None]) -> Iterator[str]:
    """Give the request's ``X-Request-ID`` to everything enqueued or logged in the block; a new id if it has none.

    With ``JOBS_TRACING``, runs continue the trace that ``traceparent`` names, unless the application has its own span.

    Args:
        header: the value of a header by its name in lower case; None if there is none.
    """
    own_id = request_id(header(REQUEST_ID) or "")
    app = boot.existing()
    with ExitStack() as stack:
        stack.enter_context(correlate(own_id))
        if app is not None and app.settings.tracing:
            from jobs.observe.trace import continuing

            stack.enter_context(continuing(header("traceparent")))
        yield own_id
