"""The way of a signal around its row: the payload as JSON before it, the run that it freed after the commit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic_core import to_json

from jobs.app import App
from jobs.definition.arguments import check_json
from jobs.enqueue.publish import announce, entries_of
from jobs.errors import ArgumentsRefused
from jobs.ledger.records import Freed


@dataclass(frozen=True, slots=True)
class Signalled:
    """The result of a signal: the id of its run, and whether this call's payload is the one that counts."""

    id: UUID
    is_first: bool


def publish_freed(app: App, freed: Sequence[Freed]) -> None:
    """Publish runs that a committed signal made ready."""
    announce(app, entries_of(freed))


def payload_text(app: App, payload: Any) -> str:
    """A payload as JSON text that the ledger can hold.

    Raises:
        ArgumentsRefused: it is not JSON, or too large.
    """
    try:
        text = to_json(payload, inf_nan_mode="constants").decode()
    except (ValueError, RecursionError) as error:
        raise ArgumentsRefused(
            f"The payload of a signal cannot be stored as JSON: {type(error).__name__}: {str(error)[:200]}.",
            hint="Send text, numbers, lists and the like.",
        ) from None
    check_json(text, what="The contents of the payload", max_bytes=app.settings.max_argument_bytes)
    return text
