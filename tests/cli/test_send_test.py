from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.conftest import Tocsin
from tests.receivers import HttpReceiver, SmtpReceiver
from tocsin.store.vault import Vault, load_key


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> HttpReceiver:
    monkeypatch.setenv("TOCSIN_ALLOWED_NETWORKS", "127.0.0.0/8")
    return HttpReceiver()


def add_channel(data: Path, url: str) -> None:
    sealed = Vault(load_key(data)).seal({"url": url})
    columns = "uid, project_id, kind, label, config, fingerprint, created_at, updated_at"
    with closing(sqlite3.connect(data / "tocsin.db")) as connection, connection:
        values = ("c1", 1, "webhook", "hook", sealed, "f", 1, 1)
        connection.execute(f"INSERT INTO channel ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)


def test_a_test_goes_through_a_channel(tocsin: Tocsin, data: Path, receiver: HttpReceiver) -> None:
    tocsin("key", "create", "--dialect", "tocsin")
    with receiver:
        add_channel(data, receiver.url)
        assert "c1  webhook  hook" in tocsin("send-test").out
        ended = tocsin("send-test", "c1")
        [request] = receiver.wait_for(1)
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith('delivered to the channel "hook": 200')
    assert request.json()["event"] == "test"


def test_a_refusal_is_one_line_and_a_status(tocsin: Tocsin, data: Path, receiver: HttpReceiver) -> None:
    tocsin("key", "create", "--dialect", "tocsin")
    receiver.script(403)
    with receiver:
        add_channel(data, receiver.url)
        ended = tocsin("send-test", "c1")
    assert (ended.status, ended.out) == (1, "")
    assert ended.err == 'tocsin: the channel "hook": 403 Forbidden\n'


def test_a_test_mail_goes_to_an_address(tocsin: Tocsin, monkeypatch: pytest.MonkeyPatch) -> None:
    tocsin("key", "create", "--dialect", "tocsin")
    with SmtpReceiver() as mails:
        monkeypatch.setenv("TOCSIN_SMTP_URL", mails.url)
        ended = tocsin("send-test", "--mail", "me@example.com")
        [mail] = mails.wait_for(1)
    assert (ended.status, ended.err) == (0, "")
    assert "me@example.com" in str(mail)


def test_no_mail_server_is_told(tocsin: Tocsin) -> None:
    tocsin("key", "create", "--dialect", "tocsin")
    assert "TOCSIN_SMTP_URL" in tocsin("send-test", "--mail", "me@example.com").err


def test_an_unknown_channel_is_told(tocsin: Tocsin) -> None:
    tocsin("key", "create", "--dialect", "tocsin")
    assert "there is no channel c9" in tocsin("send-test", "c9").err


def test_a_key_that_does_not_fit_is_named(
    tocsin: Tocsin, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tocsin("key", "create", "--dialect", "tocsin")
    add_channel(data, "https://example.com")
    monkeypatch.setenv("TOCSIN_SECRET_KEY", "x" * 32)
    ended = tocsin("send-test", "c1")
    assert (ended.status, "TOCSIN_SECRET_KEY" in ended.err, "secret.key" in ended.err) == (1, True, True)
