"""Random names that nobody can guess."""

from __future__ import annotations

import secrets
import string

LENGTH = 24
_ALPHABET = (string.digits + string.ascii_letters).encode()
# 248 is the largest multiple of 62 in a byte: dropping the rest keeps every character equally likely.
_TO_BASE62 = bytes(_ALPHABET[byte % 62] for byte in range(256))
_UNEVEN = bytes(range(248, 256))


def new_alert_id() -> str:
    """24 Base62 characters, 142 bits. Bytes are mapped at once: an alert storm needs 10,000 of them."""
    uid = b""
    while len(uid) < LENGTH:
        uid += secrets.token_bytes(32).translate(_TO_BASE62, _UNEVEN)
    return uid[:LENGTH].decode()
