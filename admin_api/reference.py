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

`jobledger api serve` serves the API and the pages on http://127.0.0.1:9180 (extra `web`). `jobledger api reference`
makes this page from the description at `/v1/openapi.json`, which any OpenAPI tool reads.

```console
$ jobledger users create ada --role admin
$ jobledger api serve --import shop.jobs
$ curl -s http://127.0.0.1:9180/v1/sessions -H 'Content-Type: application/json' \\
    -d '{"name": "ada", "password": "…"}'
```

**Authentication.** Send `Authorization: Bearer TOKEN` with every request except sign-in and probes. TOKEN is one of:

- An access token from `POST /v1/sessions`. It is valid for 15 minutes. Its refresh token gets the next pair once; using
  it a second time ends the session.
- A machine token from `jobledger tokens create` or `POST /v1/tokens`. It has part of its user's permissions, until it
  expires.

Roles: a `viewer` sees runs without their arguments, results and error messages; an `operator` may do what can be
undone; an `admin` may do everything.

**Every response** is `{data, error, meta, pagination}`. `error` has a stable `code` (the same as the command line's), a
`message`, a `hint` and `details`. Every response has an `X-Request-ID`: the one of the request, if it sent one (8 to 64
letters, digits and `._-`). Logs, audit entries and enqueued runs record it too.

| status | when |
| --- | --- |
| 200, 201, 202, 204 | done; created, at `Location`; started, with its progress at `Location`; done, without a body |
| 304 | your copy is current: send `If-None-Match` with the `ETag` of your copy |
| 400 | the request cannot be read |
| 401, 403 | no valid credentials; no permission |
| 404, 409 | not found; the current state does not allow it, or a short id is ambiguous |
| 413, 422 | larger than 1 MiB; a value is not valid |
| 421 | the server does not answer to this host name: `JOBS_API_HOSTS` |
| 429, 503 | too many requests; the ledger does not answer: both with `Retry-After` |
| 500 | a bug in jobledger; the log has the request id |

**Lists** take `limit` (50, at most 500) and `cursor`; `pagination.next_cursor` selects the next page, and is null on
the last. Counts stop at 10,000: `{"number": 10000, "is_capped": true, "shown": "10,000+"}`.

**Idempotency.** A POST with an `Idempotency-Key` is safe to repeat for a day. It is done once; a repetition gets the
same response, with `Idempotent-Replayed: true`. A different request with the same key is refused (409). A repetition is
refused too while the first request is running, and if its process died: the outcome is then unknown, and the audit
log shows it. A secret is shown only once.

**Bulk actions** (`/v1/replays`, `/v1/cancellations`, `/v1/purges`, `/v1/restorations`) take a `selector` with the
fields of the command line. An empty selector is refused; `"all": true` selects every run. `dry_run` counts and shows
the runs, `expect` refuses any other count, and the audit log records `reason`. The response is 202, and the
action continues in batches: `GET` shows `done` and `skipped` of `expected`, `DELETE` stops it after its batch, and
`POST /v1/audit-entries/{id}/undos` undoes it. When the API is stopped, the action is `interrupted`; when it is killed,
the action is `lost` after a minute. Send the same body with `resume` to continue.

**Read-only.** `api serve --read-only` refuses every change, for all users.
"""

_METHODS = ("get", "post", "put", "patch", "delete")


def reference() -> str:
    """The whole page. Opens no ledger."""
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
                words = f"{words} Example: `{json.dumps(says['examples'][0], ensure_ascii=False)}`.".strip()
            if "default" in says and says["default"] not in (None, [], {}) and field not in required:
                words = f"{words} Default: `{json.dumps(says['default'])}`.".strip()
            yield f"| `{field}` | {_type(says)} | {words} |\n"


def _type(says: Mapping[str, Any]) -> str:
    """A schema in a word or two; an envelope as its content."""
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
