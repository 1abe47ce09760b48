"""Signs messages as Standard Webhooks says: an HMAC of id, moment and body.

Source: https://www.standardwebhooks.com, version 1.0.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from jobs.errors import ConfigurationError

PREFIX = "whsec_"


def signed_headers(message_id: str, timestamp: int, body: bytes, secret: str) -> dict[str, str]:
    """The headers ``webhook-id``, ``webhook-timestamp`` (seconds since 1970) and ``webhook-signature``.

    Args:
        secret: ``whsec_`` and the key in base64; any other text is the key itself.

    Raises:
        ConfigurationError: the secret is empty, or is not base64 after ``whsec_``.
    """
    signed = f"{message_id}.{timestamp}.".encode() + body
    digest = hmac.new(key_of(secret), signed, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }


def key_of(secret: str) -> bytes:
    """The bytes of the key."""
    if secret.startswith(PREFIX):
        try:
            key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
        except (ValueError, binascii.Error):
            key = b""
    else:
        key = secret.encode()
    if not key:
        raise ConfigurationError(
            "The secret of the webhook's signatures is no key.", hint="Write whsec_ and a key in base64, or any text."
        )
    return key
