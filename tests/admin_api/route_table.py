"""The API's routes, read from its OpenAPI description, and a plain valid request for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from admin_api.app import make_routes
from jobs.app import App

A_RUN = "0199f4c2-a7d8-7b3c-9a52-3f1de0c9165b"
OPEN = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("POST", "/v1/sessions"),
    ("POST", "/v1/sessions/refreshes"),
    ("POST", "/v1/callbacks/{token}"),
}
"""What anybody may ask."""

BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/v1/sessions"): {"name": "nobody", "password": "wrong"},
    ("POST", "/v1/sessions/refreshes"): {"refresh_token": "none"},
    ("PUT", "/v1/sessions/current/password"): {"password": "wrong", "new_password": "another good password"},
    ("POST", "/v1/runs"): {"kind": "Nothing"},
    ("POST", "/v1/runs/{id}/signals"): {"name": "approval"},
    ("POST", "/v1/runs/bulk"): {"runs": [{"kind": "Nothing"}]},
    **{
        ("POST", f"/v1/{place}"): {"selector": {"id": [A_RUN]}, "dry_run": True}
        for place in ("replays", "cancellations", "purges", "restorations")
    },
    ("POST", "/v1/runs/{id}/resolutions"): {"step": "none", "took_place": False},
    ("PUT", "/v1/queues/{name}/pause"): {},
    ("PUT", "/v1/queues/{name}/target"): {"latency_seconds": 30},
    ("PUT", "/v1/kinds/{name}/target"): {"success": 0.995},
    ("POST", "/v1/runs/{id}/openings"): {"reason": "refund"},
    ("PUT", "/v1/queues/{name}/waiting-limit"): {"max_waiting": 100_000},
    ("PUT", "/v1/queues/{name}/retention"): {"dead_seconds": "never"},
    ("PUT", "/v1/kinds/{name}/pause"): {},
    ("PUT", "/v1/limits/{name}"): {"most": 3},
    ("POST", "/v1/breakers/{name}/release"): {"canary": 1},
    ("POST", "/v1/alert-routes"): {"kind": "email", "target": "ops@example.com", "topics": ["dead"]},
    ("POST", "/v1/workers/stops"): {"name": "none"},
    ("POST", "/v1/schedules"): {"name": "s", "kind": "Nothing", "when": {"type": "every", "interval_seconds": 60}},
    ("POST", "/v1/schedules/previews"): {"type": "every", "interval_seconds": 60},
    ("PATCH", "/v1/schedules/{name}"): {"priority": 1},
    ("POST", "/v1/schedules/{name}/runs"): {},
    ("PUT", "/v1/schedules/{name}/pause"): {},
    ("POST", "/v1/schedules/{name}/backfills"): {"since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"},
    ("POST", "/v1/audit-entries/{id}/undos"): {},
    ("POST", "/v1/users"): {"name": "the-viewer", "role": "viewer", "password": "a long enough password"},
    ("PUT", "/v1/users/{name}/role"): {"role": "viewer"},
    ("PUT", "/v1/users/{name}/password"): {"password": "a long enough password"},
    ("PUT", "/v1/users/{name}/disabled"): {"is_disabled": True},
    ("POST", "/v1/tokens"): {"user": "nobody", "name": "t", "permissions": ["runs:read"], "lasts_days": 1},
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A route and a well-formed request for it."""

    method: str
    template: str

    @property
    def path(self) -> str:
        return self.template.replace("{id}", A_RUN).replace("{name}", "none").replace("{token}", "none")

    @property
    def body(self) -> dict[str, Any] | None:
        return BODIES.get((self.method, self.template))


_descriptions: list[dict[str, Any]] = []


def description_of(app: App) -> dict[str, Any]:
    """The OpenAPI description: made once, for it takes half a second and is the same for every App."""
    if not _descriptions:
        _descriptions.append(make_routes(app).openapi())
    return _descriptions[0]


def routes_of(app: App) -> list[Asked]:
    """Every method of every path."""
    paths = description_of(app)["paths"]
    return [Asked(method.upper(), path) for path, methods in paths.items() for method in methods]
