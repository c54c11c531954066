"""Promise 11: secrets stay secret. One server is used with all of them, then looked through."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.receivers import HttpReceiver, SmtpReceiver
from tests.server import Server

pytestmark = pytest.mark.promise(11)

HOOK_SECRET = "hook-secret-4711-hook-secret"
HOOK_PATH = "hook-path-0815-hook-path"
BOT_TOKEN = "123456789:AAbot-token-that-nobody-may-see-0"
SLACK_PATH = "T00/B00/slack-path-that-nobody-may-see"
MAIL_PASSWORD = "mail-password-2222"


class Used(NamedTuple):
    """A server that has seen every kind of secret, and what they were."""

    server: Server
    keys: dict[str, str]
    monitor: dict[str, Any]
    channels: list[dict[str, Any]]
    link: str


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Used]:
    with HttpReceiver(200, 500) as receiver, SmtpReceiver(login=("tocsin", MAIL_PASSWORD)) as mailbox:
        settings: dict[str, Any] = {
            "allowed_networks": "127.0.0.0/8",
            "log_level": "debug",
            "smtp_url": mailbox.url,
            "telegram_api_base": receiver.url,
        }
        with Server(tmp_path_factory.mktemp("server"), **settings) as server:
            keys = {"tocsin": server.key("tocsin"), "cronpeek": server.key("cronpeek")}
            yield _use(server, keys, receiver.url)


def _use(server: Server, keys: dict[str, str], receiver_url: str) -> Used:
    """Have each secret pass through everything: made, read, sent, failed, and asked for badly."""
    api = server.api(keys["tocsin"])
    hook = {"url": f"{receiver_url}/{HOOK_PATH}", "secret": HOOK_SECRET}
    configs = {
        "webhook": hook,
        "slack": {"webhook_url": f"{receiver_url}/{SLACK_PATH}"},
        "telegram": {"bot_token": BOT_TOKEN, "chat_id": "1"},
    }
    made = [
        api.post("/channels", {"kind": kind, "label": kind, "config": config})
        for kind, config in configs.items()
    ]
    for channel in made:
        api.call("POST", f"/channels/{channel['id']}/test")
    monitor = api.create(
        mail="members",
        webhook_url=hook["url"],
        webhook_secret=HOOK_SECRET,
        channel_ids=[channel["id"] for channel in made],
    )
    server.ping(monitor, "fail")
    server.ping(monitor, "nonsense")
    for call in ("nonsense", f"monitors/{monitor['id']}x", "channels"):
        api.call("GET", f"/{call}?key={keys['tocsin']}")
    server.client.get("/api/v1/monitors", headers={"x-api-key": keys["cronpeek"] + "x"})
    server.wait_until(lambda: len(server.rows("SELECT id FROM attempt")) >= 5, "all was tried")
    link = next(word for word in server.output().split() if "/link/" in word)
    server.client.get(link, headers={"Authorization": f"Bearer {keys['tocsin']}"})
    # A trigger makes a commit fail, so that its error is logged.
    server.change("CREATE TRIGGER bad BEFORE INSERT ON ping BEGIN SELECT RAISE(ABORT, 'bad'); END")
    assert server.ping(monitor, "log").status_code == 503
    server.change("DROP TRIGGER bad")
    return Used(server, keys, monitor, made, link)


def _secrets(used: Used) -> dict[str, str]:
    return {
        "native key": used.keys["tocsin"],
        "cronpeek key": used.keys["cronpeek"],
        "webhook secret": HOOK_SECRET,
        "webhook address": HOOK_PATH,
        "bot token": BOT_TOKEN,
        "slack address": SLACK_PATH,
        "mail password": MAIL_PASSWORD,
    }


def test_the_log_holds_no_secret(used: Used) -> None:
    used.server.wait_until(lambda: "cause=failed" in used.server.output(), "the failure is logged")
    output = used.server.output()
    token = used.monitor["ping_url"].rpartition("/")[2]
    shown = [name for name, secret in {**_secrets(used), "ping token": token}.items() if secret in output]
    assert shown == []
    # The one-time link is told once, and no request for it is written down.
    assert output.count(used.link.rpartition("/")[2]) == 1


def test_the_data_folder_holds_no_secret_in_clear(used: Used) -> None:
    files = [path for path in (used.server.folder / "data").rglob("*") if path.is_file()]
    assert any(path.name == "tocsin.db" for path in files)
    content = b"".join(path.read_bytes() for path in files)
    assert used.monitor["id"].encode() in content
    assert [name for name, secret in _secrets(used).items() if secret.encode() in content] == []
    assert used.link.rpartition("/")[2].encode() not in content


def test_nothing_in_the_data_folder_is_for_others_to_read(used: Used) -> None:
    folder = used.server.folder / "data"
    [key] = folder.glob("secret*")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    others = stat.S_IRWXG | stat.S_IRWXO
    database = stat.S_IMODE(used.server.database.stat().st_mode)
    assert not stat.S_IMODE(folder.stat().st_mode) & others or not database & others


def test_the_generated_key_opens_what_it_sealed_after_a_restart(used: Used) -> None:
    api = used.server.api(used.keys["tocsin"])
    used.server.restart()
    assert api.get(f"/channels/{used.channels[0]['id']}")["config"]["secret"] == "***"
    attempts = len(used.server.rows("SELECT id FROM attempt"))
    api.call("POST", f"/channels/{used.channels[0]['id']}/test")
    used.server.ping(used.monitor)
    used.server.wait_until(
        lambda: len(used.server.rows("SELECT id FROM attempt")) > attempts, "it can still be used"
    )


def test_a_key_is_stored_as_its_hash_and_hard_to_guess(used: Used) -> None:
    hashes = {row["hash"] for row in used.server.rows("SELECT hash FROM key")}
    assert {hashlib.sha256(key.encode()).hexdigest() for key in used.keys.values()} <= hashes
    # 27 characters of 62 are 160 bits.
    assert used.keys["tocsin"].startswith("tsn_")
    assert len(used.keys["tocsin"]) >= len("tsn_") + 27


def test_no_api_and_no_command_shows_a_secret_again(used: Used) -> None:
    api = used.server.api(used.keys["tocsin"])
    lists = [
        "/channels",
        "/keys",
        "/monitors",
        f"/monitors/{used.monitor['id']}",
        "/notifications",
        "/project",
    ]
    shown = "".join(api.call("GET", path).text for path in lists)
    for row in used.server.rows("SELECT uid FROM notification"):
        shown += api.call("GET", f"/notifications/{row['uid']}").text
    for command in (("key", "list"), ("monitor", "list"), ("doctor",)):
        shown += used.server.command(*command, succeeds=None)
    assert [name for name, secret in _secrets(used).items() if secret in shown] == []


def test_a_read_only_key_does_not_see_ping_addresses(used: Used) -> None:
    reader = used.server.api(used.server.key("tocsin", "owner@example.com", "--read-only"))
    shown = reader.call("GET", "/monitors").text + reader.call("GET", f"/monitors/{used.monitor['id']}").text
    assert used.monitor["id"] in shown
    assert used.monitor["ping_url"].rpartition("/")[2] not in shown
    assert reader.call("POST", "/monitors", json={"name": "x"}).status_code == 403


def test_a_revoked_key_works_no_more_within_a_second(used: Used) -> None:
    key = used.server.key("tocsin", "short@example.com")
    api = used.server.api(key)
    assert api.call("GET", "/project").status_code == 200
    [row] = used.server.rows("SELECT uid FROM key WHERE hash = ?", hashlib.sha256(key.encode()).hexdigest())
    used.server.command("key", "revoke", row["uid"])
    used.server.wait_until(lambda: api.call("GET", "/project").status_code == 401, "it is refused", 1.5)


def test_another_key_than_the_datas_own_is_refused_at_start(used: Used) -> None:
    used.server.stop()
    used.server.environment["TOCSIN_SECRET_KEY"] = "another key, long enough"
    with pytest.raises(AssertionError, match=r"(?i)key"):
        used.server.start()
    used.server.kill()
    del used.server.environment["TOCSIN_SECRET_KEY"]
    used.server.start()
