"""The encryption key, for commands: they read it and never make one."""

from __future__ import annotations

from tocsin.settings import Settings
from tocsin.store.vault import Vault, find_key


def find_vault(settings: Settings) -> Vault | None:
    """The vault of the server's key; None where no key was made yet. VaultError where it cannot be read."""
    key = settings.secret_key.get_secret_value() if settings.secret_key else find_key(settings.data)
    return None if key is None else Vault(key)
