"""The run selector of requests, with the command line's names: as a query string, and in the body of a bulk action."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from admin_api.http.paging import Paging
from jobs.operations.runs.selector import SelectorInput

Word = Annotated[str, Field(max_length=1000)]
MOST_IDS, MOST_WORDS = 10_000, 100


class RunFilters(BaseModel):
    """The filters. Several values of one field are alternatives; tags and arguments must all match."""

    model_config = ConfigDict(extra="forbid")

    id: list[Word] = Field([], max_length=MOST_IDS, description="Full ids, or their last eight characters.")
    kind: list[Word] = Field([], max_length=MOST_WORDS, description="Kinds; `*` and `?` match.", examples=[["Charge*"]])
    queue: list[Word] = Field([], max_length=MOST_WORDS, description="Queues; `*` and `?` match.")
    state: list[Word] = Field(
        [],
        max_length=MOST_WORDS,
        description="`queued`, `ready`, `scheduled`, `retrying`, `parked`, `waiting`, `running`, `succeeded`, `dead` "
        "or `cancelled`.",
        examples=[["dead"]],
    )
    cause: list[Word] = Field(
        [], max_length=MOST_WORDS, description="Cause of death: `exhausted`, `gave_up`, `poison`, …"
    )
    fingerprint: list[Word] = Field([], max_length=MOST_WORDS, description="Error groups.")
    error: list[Word] = Field(
        [], max_length=MOST_WORDS, description="An error's class, or part of its message. Needs `arguments:read`."
    )
    key: list[Word] = Field([], max_length=MOST_WORDS, description="Idempotency keys of runs.")
    tag: list[Word] = Field([], max_length=MOST_WORDS, description="Tags; slow without an index.")
    arg: list[Word] = Field(
        [],
        max_length=MOST_WORDS,
        description="`NAME=VALUE`, `a.b=VALUE`; slow without an index. Needs `arguments:read`.",
    )
    parent: list[Word] = Field([], max_length=MOST_WORDS, description="Runs that these runs enqueued.")
    batch: list[Word] = Field([], max_length=MOST_WORDS, description="Members of these batches and of inner ones.")
    since: Word | None = Field(None, description="In its state since: `15m` (ago) or `2026-11-01`.")
    until: Word | None = Field(None, description="In its state since before this moment.")
    where: Annotated[str, Field(max_length=4000)] | None = Field(
        None, description='The query: `state:dead kind:Charge* args.order_id:42 error:"Timeout*" age:>1h`.'
    )

    def asked(self, **more: Any) -> SelectorInput:
        """The selector of the operations."""
        return SelectorInput(
            ids=tuple(self.id),
            kinds=tuple(self.kind),
            queues=tuple(self.queue),
            states=tuple(self.state),
            causes=tuple(self.cause),
            fingerprints=tuple(self.fingerprint),
            errors=tuple(self.error),
            keys=tuple(self.key),
            tags=tuple(self.tag),
            arguments=tuple(self.arg),
            parents=tuple(self.parent),
            batches=tuple(self.batch),
            since=self.since,
            until=self.until,
            where=self.where,
            **more,
        )


class RunQuery(RunFilters, Paging):
    """A list of runs."""

    count: bool = Field(False, description="Add the number of matches to `meta.count`, counted to 10,000.")


class Selection(RunFilters):
    """The runs of a bulk action. An empty selector is refused; `all` selects every run."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"state": ["dead"], "kind": ["ChargeCard"], "since": "1h"}]}
    )

    limit: int | None = Field(None, ge=1, le=10**9, description="At most this many, the oldest first.")
    all: bool = Field(False, description="Select every run.")

    def asked(self, **more: Any) -> SelectorInput:
        return super().asked(limit=self.limit, is_all=self.all, **more)
