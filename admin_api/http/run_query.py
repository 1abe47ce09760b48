"""The selector in requests, with the command line's words: as a query string, and in the body of a bulk action."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from admin_api.http.paging import Paging
from jobs.operations.runs.selector import SelectorInput

Word = Annotated[str, Field(max_length=1000)]
MOST_IDS, MOST_WORDS = 10_000, 100


class Words(BaseModel):
    """What narrows. The values of one word are alternatives; tags and arguments all hold."""

    model_config = ConfigDict(extra="forbid")

    id: list[Word] = Field([], max_length=MOST_IDS, description="Whole ids, or their last eight characters.")
    kind: list[Word] = Field([], max_length=MOST_WORDS, description="Kinds; `*` and `?` match.", examples=[["Charge*"]])
    queue: list[Word] = Field([], max_length=MOST_WORDS, description="Queues; `*` and `?` match.")
    state: list[Word] = Field(
        [],
        max_length=MOST_WORDS,
        description="`queued`, `ready`, `scheduled`, `retrying`, `running`, `succeeded`, `dead` or `cancelled`.",
        examples=[["dead"]],
    )
    cause: list[Word] = Field([], max_length=MOST_WORDS, description="Why dead: `exhausted`, `gave_up`, `poison`, …")
    fingerprint: list[Word] = Field([], max_length=MOST_WORDS, description="Groups of errors.")
    error: list[Word] = Field(
        [], max_length=MOST_WORDS, description="An error's class, or part of its message. Needs `arguments:read`."
    )
    key: list[Word] = Field([], max_length=MOST_WORDS, description="Idempotency keys of runs.")
    tag: list[Word] = Field([], max_length=MOST_WORDS, description="Tags; read row by row.")
    arg: list[Word] = Field(
        [], max_length=MOST_WORDS, description="`NAME=VALUE`, `a.b=VALUE`; read row by row. Needs `arguments:read`."
    )
    parent: list[Word] = Field([], max_length=MOST_WORDS, description="Runs that these enqueued.")
    since: Word | None = Field(None, description="In its state since: `15m` (ago), `2026-11-01`.")
    until: Word | None = Field(None, description="In its state before.")
    where: Annotated[str, Field(max_length=4000)] | None = Field(
        None, description='The query: `state:dead kind:Charge* args.order_id:42 error:"Timeout*" age:>1h`.'
    )

    def asked(self, **more: Any) -> SelectorInput:
        """As the operations take it."""
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
            since=self.since,
            until=self.until,
            where=self.where,
            **more,
        )


class RunQuery(Words, Paging):
    """A list of runs."""

    count: bool = Field(False, description="Say in `meta.count` how many match, counted to 10,000.")


class Selection(Words):
    """The runs of a bulk action. Nothing said selects nothing: `all` says everything."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"state": ["dead"], "kind": ["ChargeCard"], "since": "1h"}]}
    )

    limit: int | None = Field(None, ge=1, le=10**9, description="At most so many, the oldest.")
    all: bool = Field(False, description="Everything, said aloud.")

    def asked(self, **more: Any) -> SelectorInput:
        return super().asked(limit=self.limit, is_all=self.all, **more)
