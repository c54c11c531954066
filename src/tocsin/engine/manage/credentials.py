"""The shapes of keys and ping tokens (rules.md, Tokens and identities), and how secrets are remembered."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Callable, Mapping

from tocsin.engine.uid import base62

PREFIX_LENGTH = 12
DIALECTS = ("tocsin", "cronping", "anethoth", "cronbeats", "cronheart", "cronpeek")


_KEYS: Mapping[str, Callable[[], str]] = {
    "tocsin": lambda: "tsn_" + base62(40),
    "cronping": lambda: "cpk_" + base62(40),
    "anethoth": lambda: "ch_" + base62(40),
    "cronbeats": lambda: "cb_" + base62(40),
    "cronheart": lambda: "cmk_" + base62(40),
    "cronpeek": lambda: "cpk_" + secrets.token_hex(16),
}
_TOKENS: Mapping[str, Callable[[], str]] = {
    "tocsin": lambda: base62(24),
    "cronping": lambda: secrets.token_hex(20),
    "anethoth": lambda: secrets.token_urlsafe(24),
    "cronbeats": lambda: base62(8),
    "cronheart": lambda: str(uuid.uuid4()),
    "cronpeek": lambda: secrets.token_hex(16),
}


def new_key(dialect: str) -> str:
    """A new key in the dialect's format; a dialect without one of its own gets the native format."""
    return _KEYS.get(dialect, _KEYS["tocsin"])()


def new_token(dialect: str) -> str:
    """A new ping token in the dialect's shape."""
    return _TOKENS.get(dialect, _TOKENS["tocsin"])()


def new_badge_key(dialect: str) -> str:
    """What a badge's address holds, in the dialect's shape (rules.md, Tokens and identities)."""
    return str(uuid.uuid4()) if dialect == "cronheart" else base62(24)


def new_uid() -> str:
    """A new public id: 32 hex digits, a UUID of version 4."""
    return uuid.uuid4().hex


def new_secret() -> str:
    """The secret of a one-time link or a session: 256 bits."""
    return secrets.token_urlsafe(32)


def digest(raw: str) -> str:
    """How a random secret is stored: SHA-256, hex. It is long and random, and needs no salt."""
    return hashlib.sha256(raw.encode("utf-8", "surrogatepass")).hexdigest()
