"""The option `--bundle FILE`: commands that read look into a bundle instead of a ledger."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from admin_cli.terminal.streams import write_message

if TYPE_CHECKING:
    from jobs.app import App

READS = frozenset(
    {
        "status", "list", "show", "attempts", "diff", "why", "errors", "dlq", "batches", "effects", "queues", "limits",
        "workers", "audit", "schedules", "kinds", "compat", "api", "shadow",
    }
)  # fmt: skip
"""The commands for a bundle. Those among them that act are refused for want of a permission."""
READER = "the reader of a bundle"


def check_command(name: str | None) -> None:
    """Refuse a command that has no use for a bundle.

    Raises:
        click.UsageError: it is one.
    """
    if name is not None and name not in READS:
        raise click.UsageError(f"{name} does not read, and a bundle can only be read. Leave out --bundle.")


def open_app_of_bundle(file: str, **settings: Any) -> App:
    """An App on a copy of the bundle's ledger, which is deleted when the command ends."""
    import tempfile

    from jobs.operations.bundles.read import open_bundle

    folder = click.get_current_context().find_root().with_resource(
        tempfile.TemporaryDirectory(prefix="jobledger-bundle-")
    )  # fmt: skip
    given = {name: value for name, value in settings.items() if value is not None}
    app, manifest = open_bundle(Path(file), Path(folder), **given)
    taken = f"{manifest.made_at:%Y-%m-%d %H:%M:%S} UTC"
    runs = manifest.runs + manifest.related
    write_message(f"bundle of {taken}: {runs:,} {'run' if runs == 1 else 'runs'}, arguments {manifest.arguments}.")
    return app
