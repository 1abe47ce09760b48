"""A newsletter, written with dramatiq alone; ``brokers.py`` chooses the broker.

A pipeline for each reader sets the issue and mails it; after the last mail of a batch the editor gets a message. The
mail server fails now and then, and does not know some readers.

    python newsletter.py 1 100                      # send issue 1 to 100 readers
    jobledger worker --import newsletter            # or: dramatiq newsletter
"""

from __future__ import annotations

import sys
from typing import Any

import brokers
import dramatiq
import outbox
from dramatiq import group

broker = brokers.make()
dramatiq.set_broker(broker)

BATCH = 10


@dramatiq.actor(queue_name="setting", time_limit=10_000)
def typeset(issue: int, reader: int) -> str:
    """The issue as this reader gets it."""
    return f"Dear reader {reader}, this is issue {issue}."


@dramatiq.actor(queue_name="mail", max_retries=20, min_backoff=10, max_backoff=200, throws=outbox.NoSuchReader)
def mail(issue: int, reader: int, text: str) -> None:
    """Mail it. If dramatiq delivers the message twice (at least once), the outbox still has it once."""
    outbox.mail(issue, reader, text)


@dramatiq.actor(priority=-10)
def batch_mailed(issue: int, first: int) -> None:
    """Record that every reader of a batch has their mail."""
    outbox.record_batch(issue, first)


@dramatiq.actor
def bounced(message: dict[str, Any], error: dict[str, Any]) -> None:
    """A reader does not exist."""
    issue, reader, _ = message["args"]
    outbox.record_bounce(issue, reader, error["type"])


def send(issue: int, readers: int) -> None:
    """Send ``issue`` to readers 1 to ``readers``; every thirteenth does not exist, which the editor learns."""
    missing = [reader for reader in range(1, readers + 1) if outbox.is_missing(reader)]
    known = [reader for reader in range(1, readers + 1) if not outbox.is_missing(reader)]
    for start in range(0, len(known), BATCH):
        batch = known[start : start + BATCH]
        mailings = group([typeset.message(issue, reader) | mail.message(issue, reader) for reader in batch])
        mailings.add_completion_callback(batch_mailed.message(issue, batch[0]))
        mailings.run()
    for reader in missing:
        mail.send_with_options(args=(issue, reader, "Are you there?"), on_failure=bounced, delay=100)


if __name__ == "__main__":
    send(int(sys.argv[1]), int(sys.argv[2]))
