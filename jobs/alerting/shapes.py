"""Messages in the forms of their receivers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Text:
    """A message for people: one line, and the lines below it."""

    subject: str
    body: str


def as_text(message: dict[str, Any]) -> Text:
    """The message as an e-mail has it."""
    data = message["data"]
    word = "Resolved" if message["type"].endswith(".resolved") else "Problem"
    lines = [
        data["sentence"],
        "",
        *([f"See: {data['command']}"] if data.get("command") else []),
        f"Since: {data['since']}",
        f"Group: {data['fingerprint']}, message {data['sequence']}",
    ]
    return Text(f"jobledger: {word}: {data['sentence']}"[:200], "\n".join(lines) + "\n")


def as_slack(message: dict[str, Any]) -> dict[str, Any]:
    """The message as Slack's incoming webhooks take it."""
    data = message["data"]
    if message["type"].endswith(".resolved"):
        return {"text": f":white_check_mark: Resolved: {_plain(data['sentence'])}"}
    mark = ":red_circle:" if data["is_bad"] else ":warning:"
    command = f"\n`{_plain(data['command'])}`" if data.get("command") else ""
    return {"text": f"{mark} {_plain(data['sentence'])}{command}"}


def _plain(text: str) -> str:
    """Text that names nobody and links nowhere: Slack reads three characters as markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
