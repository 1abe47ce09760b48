"""Writes docs/api.md from the OpenAPI description of the API."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from admin_api.app import make_routes
from jobs import boot
from jobs.settings import Settings

_INTRO = """# HTTP API

`jobledger api serve` serves it on http://127.0.0.1:9180 (extra `web`), beside the pages. This page is made by
`jobledger api reference` from the description at `/v1/openapi.json`, which any OpenAPI tool reads.

```console
$ jobledger users create ada --role admin
$ jobledger api serve --import shop.jobs
$ curl -s http://127.0.0.1:9180/v1/sessions -H 'Content-Type: application/json' \\
    -d '{"name": "ada", "password": "…"}'
```

**Who asks.** `Authorization: Bearer TOKEN` on every request but signing in and probes. Either an access token, of
`POST /v1/sessions`: it holds for 15 minutes, and the refresh token that comes with it gets the next pair, once; one
that comes again ends the session. Or a machine token, of `jobledger tokens create` or `POST /v1/tokens`: it may do part
of what its user may, until its day. Roles: `viewer` sees runs without their arguments, results and errors' words;
`operator` does what can be taken back; `admin` everything.

**Every answer** is `{data, error, meta, pagination}`. `error` has a stable `code` (the command line's), a `message`, a
`hint` and `details`. Every answer carries `X-Request-ID`: the request's, if it had one (8 to 64 letters, digits and
`._-`); logs, audit entries and runs enqueued have it too.

| status | when |
| --- | --- |
| 200, 201, 202, 204 | done; made, at `Location`; begun, to be looked after at `Location`; done, and nothing to say |
| 304 | what you have is what there is: send `If-None-Match` with the `ETag` that you have |
| 400 | the request cannot be read |
| 401, 403 | nobody knows who asks; who asks may not |
| 404, 409 | there is no such thing; the state of things does not allow it, or a short id means several |
| 413, 422 | larger than 1 MiB; a value does not serve |
| 421 | the server does not answer to this host name: `JOBS_API_HOSTS` |
| 429, 503 | tried too often; the ledger does not answer: both with `Retry-After` |
| 500 | a bug of ours; the log has the request id |

**Lists** take `limit` (50, at most 500) and `cursor`; `pagination.next_cursor` begins the next page, and is null on the
last. Counts stop at 10,000: `{"number": 10000, "is_capped": true, "shown": "10,000+"}`.

**Once.** Send a POST with `Idempotency-Key`, and it is safe to send again for a day: it is done once and answered
alike, with `Idempotent-Replayed: true`. Another request with the key is refused (409). So is this one while it
is being done, and if its process died at it: nobody knows then how it ended, and the audit tells. A secret is told
once.

**Bulk actions** (`/v1/replays`, `/v1/cancellations`, `/v1/purges`, `/v1/restorations`) take a `selector` in the command
line's words; one that says nothing is refused, `"all": true` says everything. `dry_run` counts and shows, `expect`
refuses any other count, `reason` is kept. They answer 202 and go on in batches; `GET` tells `done` and `skipped` of
`expected`, `DELETE` stops it after its batch, `POST /v1/audit-entries/{id}/undos` takes it back. An API that is told to
stop leaves it `interrupted`; one that is killed leaves it `lost` after a minute. The same body with `resume` goes on.

**Read-only.** `api serve --read-only` refuses whatever changes something, for everybody.
"""

_METHODS = ("get", "post", "put", "patch", "delete")


def reference() -> str:
    """The page, whole. Asks no ledger."""
    app = boot.build(Settings.read(database_url="sqlite:///jobs.db"))
    described = make_routes(app).openapi()
    return _INTRO + "".join(_sections(described)) + "\n## What answers and bodies hold\n" + "".join(_shapes(described))


def _sections(described: Mapping[str, Any]) -> Iterator[str]:
    by_tag: dict[str, list[str]] = {}
    for path, methods in described["paths"].items():
        for method in _METHODS:
            if method in methods:
                one = methods[method]
                by_tag.setdefault(one.get("tags", ["other"])[0], []).append(_operation(method, path, one))
    for tag, operations in by_tag.items():
        yield f"\n## {tag.capitalize()}\n" + "".join(operations)


def _operation(method: str, path: str, one: Mapping[str, Any]) -> str:
    summary = one["summary"]
    lines = [f"\n### `{method.upper()} {path}`\n", summary if summary.endswith("?") else f"{summary}."]
    if one.get("description"):
        lines.append(" ".join(one["description"].split()))
    body = one.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if body is not None:
        lines.append(f"Body: {_type(body)}.")
    asked = [one for one in one.get("parameters", ()) if one["in"] == "query"]
    if asked:
        lines.append("Query: " + ", ".join(f"`{one['name']}`" for one in asked) + ".")
    good = [_good(status, answer) for status, answer in one["responses"].items() if status.startswith("2")]
    lines.append(f"Answers {', or '.join(good)}.")
    return _wrapped(" ".join(lines[1:]), lines[0] + "\n")


def _good(status: str, answer: Mapping[str, Any]) -> str:
    content = answer.get("content", {})
    schema = content.get("application/json", {}).get("schema")
    if schema is None:
        return status if not content else f"{status} as text"
    return f"{status} with {_type(schema)}"


def _shapes(described: Mapping[str, Any]) -> Iterator[str]:
    for name, shape in sorted(described["components"]["schemas"].items()):
        if name.startswith("Envelope_") or "properties" not in shape:
            continue
        yield f"\n### {name}\n"
        if shape.get("description"):
            yield "\n" + _wrapped(" ".join(shape["description"].split()), "")
        yield "\n| name | type | |\n| --- | --- | --- |\n"
        required = set(shape.get("required", ()))
        for field, says in shape["properties"].items():
            words = " ".join(str(says.get("description", "")).split()).replace("|", "\\|").replace("``", "`")
            if says.get("examples"):
                words = f"{words} Such as `{json.dumps(says['examples'][0], ensure_ascii=False)}`.".strip()
            if "default" in says and says["default"] not in (None, [], {}) and field not in required:
                words = f"{words} Else `{json.dumps(says['default'])}`.".strip()
            yield f"| `{field}` | {_type(says)} | {words} |\n"


def _type(says: Mapping[str, Any]) -> str:
    """A schema in a word or two; an envelope is what it holds."""
    if "$ref" in says:
        name = says["$ref"].rpartition("/")[2]
        return _held(name)
    for several in ("anyOf", "oneOf"):
        if several in says:
            return " or ".join(dict.fromkeys(_type(one) for one in says[several]))
    if "enum" in says or "const" in says:
        return " or ".join(f"`{one}`" for one in says.get("enum", [says.get("const")]))
    if says.get("type") == "array":
        return f"list of {_type(says.get('items', {}))}"
    if says.get("type") == "object" and isinstance(says.get("additionalProperties"), Mapping):
        return f"object of {_type(says['additionalProperties'])}"
    formats: dict[str, str] = {"date-time": "moment", "uuid": "id"}
    named = {"string": "text", "boolean": "yes or no", "number": "number", "integer": "whole number", "null": "null"}
    kind = str(says.get("type", "any JSON"))
    return formats.get(says.get("format", ""), named.get(kind, kind))


def _held(name: str) -> str:
    """``Envelope_list_Run__`` is a list of ``Run``; ``Envelope_Union_Action__Plan__`` one of them."""
    inner = name
    if name.startswith("Envelope_"):
        inner = name.removeprefix("Envelope_").strip("_")
    if inner.startswith("list_"):
        return f"a list of [{inner.removeprefix('list_')}](#{inner.removeprefix('list_').lower()})"
    if inner.startswith("Union_"):
        parts = [one for one in inner.removeprefix("Union_").split("_") if one]
        return " or ".join(f"[{one}](#{one.lower()})" for one in parts)
    return f"[{inner}](#{inner.lower()})"


def _wrapped(text: str, head: str) -> str:
    return head + textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False) + "\n"
