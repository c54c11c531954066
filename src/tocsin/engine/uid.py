"""Random names that nobody can guess."""

from __future__ import annotations

import secrets
import string

ALERT_ID_LENGTH = 24
_ALPHABET = (string.digits + string.ascii_letters).encode()
# 248 is the largest multiple of 62 in a byte: dropping the rest keeps every character equally likely.
_TO_BASE62 = bytes(_ALPHABET[byte % 62] for byte in range(256))
_UNEVEN = bytes(range(248, 256))


def base62(length: int) -> str:
    """Random text; 5.95 bits a character. Bytes are mapped at once: an alert storm needs 10,000 texts."""
    text = b""
    while len(text) < length:
        text += secrets.token_bytes(length + 8).translate(_TO_BASE62, _UNEVEN)
    return text[:length].decode()


def new_alert_ids(count: int) -> list[str]:
    """The ids of so many notifications, of 142 bits each."""
    text = base62(ALERT_ID_LENGTH * count)
    return [text[at : at + ALERT_ID_LENGTH] for at in range(0, len(text), ALERT_ID_LENGTH)]
