from __future__ import annotations

import stat
from pathlib import Path

import pytest
from sqlalchemy import select

from tocsin.store import tables
from tocsin.store.sqlite import SqliteStore
from tocsin.store.vault import Vault, VaultError, check_canary, find_key, has_canary, load_key, try_canary

CONFIG = {"url": "https://example.com/hook", "secret": "s3cret", "to": ["ä@example.com"]}


def test_what_is_sealed_opens_again_and_shows_nothing() -> None:
    vault = Vault("a key")
    sealed = vault.seal(CONFIG)
    assert vault.open(sealed) == CONFIG
    assert "s3cret" not in sealed
    assert vault.seal(CONFIG) != sealed


def test_another_key_or_a_damaged_text_does_not_open() -> None:
    sealed = Vault("a key").seal(CONFIG)
    for vault, text in ((Vault("another key"), sealed), (Vault("a key"), sealed[:-8]), (Vault("a key"), "")):
        with pytest.raises(VaultError):
            vault.open(text)


def test_equal_configs_have_equal_fingerprints_under_one_key_only() -> None:
    vault = Vault("a key")
    reordered = dict(reversed(CONFIG.items()))
    assert vault.fingerprint("webhook", CONFIG) == vault.fingerprint("webhook", reordered)
    assert vault.fingerprint("webhook", CONFIG) != vault.fingerprint("slack", CONFIG)
    assert vault.fingerprint("webhook", CONFIG) != Vault("another").fingerprint("webhook", CONFIG)


def test_a_key_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    assert find_key(tmp_path) is None
    key = load_key(tmp_path)
    assert stat.S_IMODE((tmp_path / "secret.key").stat().st_mode) == 0o600
    assert load_key(tmp_path) == find_key(tmp_path) == key
    assert len(key) >= 43


def test_an_empty_or_unreadable_key_is_no_reason_to_make_another(tmp_path: Path) -> None:
    (tmp_path / "secret.key").write_text("\n")
    with pytest.raises(VaultError, match="empty"):
        load_key(tmp_path)
    (tmp_path / "secret.key").write_bytes(b"\xff\xfe")
    with pytest.raises(VaultError, match="cannot be read"):
        load_key(tmp_path)
    with pytest.raises(VaultError, match="No such file"):
        load_key(tmp_path / "missing")


async def test_a_canary_refuses_a_key_that_does_not_fit(store: SqliteStore) -> None:
    await store.read(lambda connection: try_canary(connection, Vault("any, nothing is sealed")))
    await store.write(lambda connection: check_canary(connection, Vault("first")))
    await store.write(lambda connection: check_canary(connection, Vault("first")))
    with pytest.raises(VaultError, match="restore the old key"):
        await store.write(lambda connection: check_canary(connection, Vault("second")))
    names = await store.read(lambda connection: list(connection.scalars(select(tables.meta.c.name))))
    assert names == ["canary"]


async def test_a_lost_key_is_not_replaced(store: SqliteStore, tmp_path: Path) -> None:
    assert not await store.read(has_canary)
    await store.write(lambda connection: check_canary(connection, Vault("first")))
    assert await store.read(has_canary)
    with pytest.raises(VaultError, match="is missing"):
        load_key(tmp_path, may_make=False)
    assert find_key(tmp_path) is None
    key = load_key(tmp_path)
    assert load_key(tmp_path, may_make=False) == key
