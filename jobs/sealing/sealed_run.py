"""A new run whose arguments are sealed when its row is written: for the id that it has then."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from pydantic_core import from_json

from jobs.definition.secret import Sealing
from jobs.ledger.records import NewRun
from jobs.sealing.seals import SealHost


class ClearArguments:
    """Arguments before they are sealed; its repr shows none of them."""

    __slots__ = ("_app", "_given", "_kind", "_last", "_sealing", "_subject")

    def __init__(self, app: SealHost, sealing: Sealing, kind: str, text: str) -> None:
        self._app = app
        self._sealing = sealing
        self._kind = kind
        self._given: dict[str, Any] = from_json(text)
        self._subject = self._given.get(sealing.subject) if sealing.subject is not None else None
        self._last: tuple[UUID, str] | None = None

    def sealed_for(self, run_id: UUID) -> str:
        """The arguments as the row of this run holds them; the same text if it is asked again."""
        if self._last is None or self._last[0] != run_id:
            text = self._app.seals.seal_arguments(
                self._app, self._sealing, self._kind, self._given, run_id, subject=self._subject
            )
            self._last = run_id, text
        return self._last[1]

    def __repr__(self) -> str:
        return "ClearArguments(…)"


@dataclass(kw_only=True)
class SealedRun(NewRun):
    """A run to insert. ``arguments`` is the sealed text for its current ``id``, which batches and gathers change."""

    clear: ClearArguments = field(repr=False)

    @property  # type: ignore[misc]
    def arguments(self) -> str:
        return self.clear.sealed_for(self.id)

    @arguments.setter
    def arguments(self, text: str) -> None:
        """Ignored: the text belongs to an id, and ``clear`` says what it is made of."""


def sealed_run(app: SealHost, sealing: Sealing, **values: Any) -> SealedRun:
    """The run with these columns, ``arguments`` in clear among them.

    Its key becomes a keyed hash. Its arguments are sealed once now, so that an error of the keys is raised before
    anything is written.

    Raises:
        SealKeyMissing, ConfigurationError: this process has no keys.
    """
    kind = values["kind"]
    clear = ClearArguments(app, sealing, kind, values.pop("arguments"))
    if values.get("key") is not None:
        values["key"] = sealed_key(app, kind, values["key"])
    run = SealedRun(arguments="", clear=clear, **values)
    clear.sealed_for(run.id)
    return run


def sealed_key(app: SealHost, kind: str, key: str) -> str:
    """The key of a run of a sealed kind as the ledger stores it: it may be made of a sealed value."""
    return f"sealed:{app.seals.hash_text(app, 'key', kind, key)}"
