"""Channel secrets at rest, and the key they are sealed with."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from tocsin.store.tables import meta

KEY_FILE = "secret.key"
CANARY = "canary"
CANARY_FACTS = {"tocsin": "canary"}


class VaultError(Exception):
    """One line that says why sealed things cannot be opened."""


class Vault:
    """Seals mappings as text, and opens them again. Any text is a key; its strength is the owner's."""

    def __init__(self, key: str) -> None:
        derived = HKDF(SHA256(), length=32, salt=None, info=b"tocsin vault 1").derive(key.encode())
        self._fernet = Fernet(base64.urlsafe_b64encode(derived))
        self._derived = derived

    def seal(self, content: Mapping[str, Any]) -> str:
        """The mapping, which JSON can hold, as text that only this key opens."""
        return self._fernet.encrypt(orjson.dumps(dict(content))).decode()

    def fingerprint(self, kind: str, config: Mapping[str, Any]) -> str:
        """What finds an equal kind and config again. Keyed, since addresses can be guessed."""
        content = orjson.dumps([kind, dict(config)], option=orjson.OPT_SORT_KEYS)
        return hmac.new(self._derived, content, hashlib.sha256).hexdigest()

    def open(self, text: str) -> dict[str, Any]:
        """What was sealed. VaultError where the key does not fit, or the text was damaged."""
        try:
            content: dict[str, Any] = orjson.loads(self._fernet.decrypt(text))
        except InvalidToken:
            raise VaultError("a sealed secret does not open with this key") from None
        return content


def has_canary(connection: Connection) -> bool:
    """Whether this database holds what was sealed with a key; a new key would open nothing of it."""
    return connection.execute(select(meta.c.name).where(meta.c.name == CANARY)).first() is not None


def load_key(folder: Path, *, may_make: bool = True) -> str:
    """The key in the data folder's `secret.key`, made there (mode 600) where there is none and that is
    allowed.

    VaultError where it cannot be read or made, or is missing and may not be made.
    """
    path = folder / KEY_FILE
    if not may_make and not path.exists():
        raise VaultError(
            f"{path} is missing, and this database's secrets were sealed with a key: restore the file, or set"
            " TOCSIN_SECRET_KEY"
        )
    try:
        return _make_key(path)
    except FileExistsError:
        return _read_key(path)
    except OSError as error:
        raise VaultError(f"{path}: {error.strerror}") from None


def find_key(folder: Path) -> str | None:
    """The key in the data folder, None where none was made yet. VaultError where it cannot be read."""
    path = folder / KEY_FILE
    return _read_key(path) if path.exists() else None


def check_canary(connection: Connection, vault: Vault) -> None:
    """Refuse (VaultError) a key that does not open what this database holds; remember a first key."""
    insert = postgresql_insert if connection.dialect.name == "postgresql" else sqlite_insert
    first = insert(meta).values(name=CANARY, value=vault.seal(CANARY_FACTS)).on_conflict_do_nothing()
    connection.execute(first)
    try_canary(connection, vault)


def try_canary(connection: Connection, vault: Vault) -> None:
    """Refuse (VaultError) a key that does not open what this database holds, if it holds anything."""
    sealed = connection.execute(select(meta.c.value).where(meta.c.name == CANARY)).scalar()
    try:
        if sealed is not None:
            vault.open(sealed)
    except VaultError:
        raise VaultError(
            "TOCSIN_SECRET_KEY (or secret.key in the data folder) is not the key that this database's"
            " secrets were sealed with: restore the old key"
        ) from None


def _make_key(path: Path) -> str:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    key = secrets.token_urlsafe(32)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(key + "\n")
        file.flush()
        os.fsync(file.fileno())
    return key


def _read_key(path: Path) -> str:
    try:
        key = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise VaultError(f"{path}: cannot be read ({error})") from None
    if not key:
        raise VaultError(f"{path}: is empty; restore it from a backup")
    return key
