from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import Connection, select

from tests.management import Office
from tests.receivers import HttpReceiver
from tocsin.domain.channel import Outcome
from tocsin.domain.errors import Code, TocsinError
from tocsin.domain.project import Actor
from tocsin.domain.record import ChannelView, Monitor
from tocsin.store import tables
from tocsin.store.alerts import read_watched
from tocsin.store.routing import find_recipients
from tocsin.store.sqlite import SqliteStore

HOOK = "https://hooks.slack.com/services/T000/B000/secret"


async def made(office: Office, actor: Actor, **fields: Any) -> ChannelView:
    config = {
        "kind": "webhook",
        "label": "hook",
        "config": {"url": "https://example.com/hook"},
        "verified": False,
    }
    return await office.manage.create_channel(actor, **{**config, **fields})


async def test_a_channel_reads_back_with_its_secrets_masked(office: Office, actor: Actor) -> None:
    channel = await made(office, actor, kind="slack", label=" ops ", config={"webhook_url": HOOK})
    assert (channel.kind, channel.label, channel.enabled, channel.verified_at) == ("slack", "ops", True, None)
    assert channel.config == {"webhook_url": "***"}
    assert await office.manage.channel(actor, channel.uid) == channel
    assert await office.manage.channel(actor, channel.id) == channel
    assert await office.manage.channels(actor) == [channel]
    assert "secret" not in str(await office.rows(select(tables.channel)))


async def test_all_bad_fields_of_a_channel_are_told_at_once(office: Office, actor: Actor) -> None:
    with pytest.raises(TocsinError) as caught:
        await made(office, actor, kind="telegram", label="", config={"bot_token": 7, "chat_id": ""})
    assert set(caught.value.fields) == {"label", "bot_token", "chat_id"}
    with pytest.raises(TocsinError) as caught:
        await made(office, actor, kind="pigeon")
    assert set(caught.value.fields) == {"kind"}
    with pytest.raises(TocsinError) as caught:
        await made(office, actor, config="https://example.com")
    assert set(caught.value.fields) == {"config"}
    assert await office.count(tables.channel) == 0


@pytest.mark.parametrize("url", ["https://10.0.0.1/x", "https://[::1]/x", "x", ""])
async def test_a_destination_inside_is_refused(office: Office, actor: Actor, url: str) -> None:
    with pytest.raises(TocsinError) as caught:
        await made(office, actor, config={"url": url})
    assert set(caught.value.fields) == {"url"}


async def test_a_kind_outside_the_plan_is_forbidden(office: Office) -> None:
    free = await office.actor("cronpeek")
    with pytest.raises(TocsinError) as caught:
        await made(office, free, kind="slack", config={"webhook_url": HOOK})
    assert caught.value.code is Code.FORBIDDEN


async def test_a_mail_channel_is_verified_by_a_link_to_its_owner(office: Office, actor: Actor) -> None:
    channel = await made(office, actor, kind="email", config={"to": ["ops@example.com"]})
    await office.manage.settle()
    [letter] = office.letters
    assert (letter.to, await office.manage.link_purpose(letter.link)) == ("ops@example.com", "verify-channel")
    await office.manage.confirm(letter.link)
    assert (await office.manage.channel(actor, channel.uid)).verified_at is not None


async def test_every_address_of_a_mail_channel_is_asked_in_its_turn(office: Office, actor: Actor) -> None:
    channel = await made(office, actor, kind="email", config={"to": ["a@example.com", "b@example.com"]})
    for address in ("a@example.com", "b@example.com"):
        assert (await office.manage.channel(actor, channel.uid)).verified_at is None
        await office.manage.settle()
        assert office.letters[-1].to == address
        await office.manage.confirm(office.letters[-1].link)
    assert (await office.manage.channel(actor, channel.uid)).verified_at is not None


async def test_a_letter_that_is_not_repeated_is_no_consent(office: Office, actor: Actor) -> None:
    channel = await made(office, actor, kind="email", config={"to": ["me@example.com", "victim@example.com"]})
    await office.manage.settle()
    office.hands.pass_(299)
    await office.manage.confirm(office.letters[0].link)
    office.hands.pass_(2)
    with pytest.raises(TocsinError):
        await office.manage.test_channel(actor, channel.uid)
    await office.manage.settle()
    assert [letter.to.partition("@")[0] for letter in office.letters] == ["me", "victim", "me"]
    await office.manage.confirm(office.letters[-1].link)
    assert (await office.manage.channel(actor, channel.uid)).verified_at is None
    await office.manage.confirm(office.letters[1].link)
    assert (await office.manage.channel(actor, channel.uid)).verified_at is not None


async def test_many_channels_do_not_fill_a_strangers_mailbox(office: Office, actor: Actor) -> None:
    for number in range(7):
        to = ["victim@example.com", f"{number}@example.com"]
        await made(office, actor, kind="email", config={"to": to})
    await made(office, actor, kind="email", config={"to": ["other@example.com"]})
    await office.manage.settle()
    assert [letter.to for letter in office.letters] == ["victim@example.com"] * 5 + ["other@example.com"]
    office.hands.pass_(301)
    await made(office, actor, kind="email", config={"to": ["Victim@example.com"]})
    await office.manage.settle()
    assert len(office.letters) == 7


async def test_a_link_verifies_no_address_that_was_typed_later(office: Office, actor: Actor) -> None:
    channel = await made(office, actor, kind="email", config={"to": ["a@example.com"]})
    await office.manage.settle()
    await office.manage.update_channel(actor, channel.uid, {"config": {"to": ["victim@example.com"]}})
    with pytest.raises(TocsinError) as caught:
        await office.manage.confirm(office.letters[0].link)
    assert caught.value.code is Code.NOT_FOUND
    assert (await office.manage.channel(actor, channel.uid)).verified_at is None


async def test_an_unverified_mail_channel_is_not_tested_but_asked_again(office: Office, actor: Actor) -> None:
    channel = await made(office, actor, kind="email", config={"to": ["a@example.com"]})
    for seconds in (1, 300):
        office.hands.pass_(seconds)
        with pytest.raises(TocsinError) as caught:
            await office.manage.test_channel(actor, channel.uid)
        assert caught.value.code is Code.CONFLICT
    await office.manage.settle()
    assert [letter.to for letter in office.letters] == ["a@example.com"] * 2


@pytest.mark.parametrize("signup_open", [True, False])
async def test_where_sign_up_is_closed_everybody_is_trusted(store: SqliteStore, *, signup_open: bool) -> None:
    office = Office(store, signup_open=signup_open)
    actor = await office.actor()
    channel = await made(office, actor, kind="email", config={"to": ["a@example.com"]}, verified=None)
    await office.close()
    assert (channel.verified_at is None) is signup_open
    assert len(office.letters) == signup_open


async def test_a_monitor_that_named_only_a_deleted_channel_tells_the_others_again(
    office: Office, actor: Actor
) -> None:
    gone, kept = [await made(office, actor, label=label) for label in ("gone", "kept")]
    only = await office.monitor(actor, channel_ids=[gone.uid])
    both = await office.monitor(actor, channel_ids=[gone.uid, kept.uid])
    await office.manage.delete_channel(actor, gone.uid)
    assert (await office.manage.monitor(actor, only.id)).channel_ids == ()
    assert (await office.manage.monitor(actor, both.id)).channel_ids == (kept.id,)


async def test_a_new_mail_address_has_to_be_verified_again(office: Office, actor: Actor) -> None:
    channel = await made(office, actor, kind="email", config={"to": ["a@example.com"]}, verified=True)
    await office.manage.settle()
    assert office.letters == []
    same = await office.manage.update_channel(actor, channel.uid, {"config": {"to": ["a@example.com"]}})
    assert same.verified_at is not None
    changed = await office.manage.update_channel(actor, channel.uid, {"config": {"to": ["b@example.com"]}})
    await office.manage.settle()
    assert changed.verified_at is None
    assert [letter.to for letter in office.letters] == ["b@example.com"]


async def test_a_masked_or_missing_field_stays_as_it_was(office: Office, actor: Actor) -> None:
    config = {"url": "https://example.com/a", "secret": "s" * 20}
    channel = await made(office, actor, config=config)
    changes = {"config": {"url": "https://example.com/b", "secret": "***"}, "label": "new"}
    changed = await office.manage.update_channel(actor, channel.uid, changes)
    assert changed.label == "new"
    assert await sealed(office, channel) == {**config, "format": "house", "url": "https://example.com/b"}
    await office.manage.update_channel(actor, channel.uid, {"config": {"secret": None}})
    assert "secret" not in await sealed(office, channel)


async def sealed(office: Office, channel: ChannelView) -> dict[str, Any]:
    query = select(tables.channel.c.config).where(tables.channel.c.id == channel.id)
    [row] = await office.rows(query)
    return {"format": "house", **office.vault.open(row.config)}


async def test_a_bad_change_changes_nothing(office: Office, actor: Actor) -> None:
    channel = await made(office, actor)
    with pytest.raises(TocsinError) as caught:
        await office.manage.update_channel(
            actor, channel.uid, {"label": "", "enabled": 1, "kind": "slack", "config": {"url": "x"}}
        )
    assert set(caught.value.fields) == {"label", "enabled", "kind", "url"}
    assert await office.manage.channel(actor, channel.uid) == channel


async def test_switching_a_channel_on_forgives_what_it_was_disabled_for(office: Office, actor: Actor) -> None:
    channel = await made(office, actor)
    table = tables.channel
    broken = {"enabled": False, "disabled_reason": "gone", "refusals": 3}
    await office.store.write(lambda connection: connection.execute(table.update().values(broken)))
    fixed = await office.manage.update_channel(actor, channel.uid, {"enabled": True})
    assert (fixed.enabled, fixed.disabled_reason) == (True, None)
    [row] = await office.rows(select(table.c.refusals))
    assert row.refusals == 0


async def test_a_deleted_channel_is_gone_with_its_secret(office: Office, actor: Actor) -> None:
    channel = await made(office, actor, config={"url": "https://example.com", "secret": "s" * 20})
    await office.manage.delete_channel(actor, channel.uid)
    assert await office.manage.channels(actor) == []
    assert await sealed(office, channel) == {"format": "house"}
    for attempt in (office.manage.channel, office.manage.delete_channel, office.manage.test_channel):
        with pytest.raises(TocsinError) as caught:
            await attempt(actor, channel.uid)
        assert caught.value.code is Code.NOT_FOUND


async def test_a_strangers_channel_is_not_found(office: Office, actor: Actor) -> None:
    stranger = await office.actor(email="other@example.com")
    channel = await made(office, stranger)
    for ref in (channel.uid, channel.id, "", "\ud800", "\0", 2**70, -1):
        with pytest.raises(TocsinError) as caught:
            await office.manage.channel(actor, ref)
        assert caught.value.code is Code.NOT_FOUND


async def test_a_test_that_arrives_verifies_the_channel(office: Office, actor: Actor) -> None:
    with HttpReceiver() as receiver:
        channel = await made(office, actor, config={"url": receiver.url})
        receipt = await office.manage.test_channel(actor, channel.uid)
        assert receipt.outcome is Outcome.DELIVERED
        [request] = await receiver.arrived(1)
    assert request.json()["event"] == "test"
    assert (await office.manage.channel(actor, channel.uid)).verified_at is not None


async def test_a_test_that_is_refused_verifies_nothing(office: Office, actor: Actor) -> None:
    with HttpReceiver(403) as receiver:
        channel = await made(office, actor, config={"url": receiver.url})
        receipt = await office.manage.test_channel(actor, channel.uid)
    assert (receipt.outcome, receipt.code) == (Outcome.REFUSED, 403)
    assert (await office.manage.channel(actor, channel.uid)).verified_at is None


async def recipients(office: Office, monitor: Monitor) -> list[int]:
    """The channels that would be told of a monitor."""

    def read(connection: Connection) -> list[int]:
        watched = read_watched(connection, [monitor.id])
        return [one.channel_id for one in find_recipients(connection, watched.values())[monitor.id]]

    return await office.store.read(read)


async def test_where_anybody_signs_up_a_strangers_mailbox_is_asked_before_it_is_told(
    store: SqliteStore,
) -> None:
    office = Office(store, signup_open=True)
    actor = await office.actor("cronpeek")
    monitor = await office.monitor(actor, mail="Victim@example.com", fan_out=False)
    await office.manage.settle()
    assert await recipients(office, monitor) == []
    [letter] = office.letters
    assert (letter.to, await office.manage.link_purpose(letter.link)) == (
        "Victim@example.com",
        "verify-channel",
    )
    await office.manage.confirm(letter.link)
    assert await recipients(office, monitor) == [monitor.mail_channel_id]
    await office.manage.update_monitor(actor, monitor.id, {"mail": "other@example.com"})
    await office.manage.settle()
    assert [letter.to for letter in office.letters] == ["Victim@example.com", "other@example.com"]
    await office.close()


async def test_a_members_own_mailbox_needs_no_second_link(store: SqliteStore) -> None:
    office = Office(store, signup_open=True)
    made = await office.manage.create_account("me@example.com", "cronpeek", from_loopback=False)
    actor = await office.manage.authenticate(made.raw, "cronpeek")
    early = await office.monitor(actor, mail="me@example.com", fan_out=False)
    await office.manage.settle()
    assert await recipients(office, early) == []
    await office.manage.confirm(office.letters[0].link)
    assert await recipients(office, early) == [early.mail_channel_id]
    trusted = await office.actor(email="boss@example.com")
    count = len(office.letters)
    late = await office.monitor(trusted, mail="Boss@example.com", fan_out=False)
    await office.manage.settle()
    assert await recipients(office, late) == [late.mail_channel_id]
    assert len(office.letters) == count
    await office.close()


async def test_where_sign_up_is_closed_a_monitors_mailbox_is_told_at_once(
    office: Office, actor: Actor
) -> None:
    monitor = await office.monitor(actor, mail="ops@example.com", fan_out=False)
    assert await recipients(office, monitor) == [monitor.mail_channel_id]
    await office.manage.settle()
    assert office.letters == []


async def test_a_channel_that_rests_on_the_servers_own_means_needs_them(store: SqliteStore) -> None:
    office = Office(store)
    actor = await office.actor()
    for kind, setting in (("email", "TOCSIN_SMTP_URL"), ("telegram", "TOCSIN_TELEGRAM_BOT_TOKEN")):
        with pytest.raises(TocsinError) as caught:
            await made(office, actor, kind=kind, config={}, by_server=True)
        assert caught.value.code is Code.CONFLICT
        assert setting in caught.value.message
    config = {"bot_token": "1:own", "chat_id": "5"}
    assert (await made(office, actor, kind="telegram", config=config)).config["chat_id"] == "5"
    assert (await made(office, actor, by_server=True)).kind == "webhook"
    await office.close()


async def test_what_a_face_found_is_told_with_what_we_find(office: Office, actor: Actor) -> None:
    with pytest.raises(TocsinError) as caught:
        await made(office, actor, config={"url": "https://10.0.0.1"}, refused={"label": "Too short."})
    assert caught.value.fields.keys() == {"label", "url"}
    assert caught.value.fields["label"] == "Too short."
    with pytest.raises(TocsinError) as caught:
        await made(office, actor, refused={"label": "Too short."})
    assert caught.value.fields == {"label": "Too short."}


async def test_a_new_secret_replaces_the_old_one(office: Office, actor: Actor) -> None:
    url = "https://no-such-name.invalid/hook"
    channel = await made(office, actor, config={"url": url, "secret": "s" * 20}, verified=True)
    view, secret = await office.manage.rotate_secret(actor, channel.uid)
    assert view.config["secret"] == "***"
    assert view.verified_at == channel.verified_at
    assert await sealed(office, channel) == {"format": "house", "url": url, "secret": secret}
    assert (await office.manage.rotate_secret(actor, channel.id))[1] != secret


async def test_what_is_no_webhook_has_no_secret(office: Office, actor: Actor) -> None:
    channel = await made(office, actor, kind="slack", config={"webhook_url": HOOK})
    with pytest.raises(TocsinError) as caught:
        await office.manage.rotate_secret(actor, channel.uid)
    assert caught.value.code is Code.INVALID


async def test_a_secret_is_kept_as_it_is(office: Office, actor: Actor) -> None:
    channel = await made(office, actor, config={"url": "https://example.com", "secret": " blanks around "})
    assert (await sealed(office, channel))["secret"] == " blanks around "


async def test_two_edits_at_once_both_count(office: Office, actor: Actor) -> None:
    for round_number in range(5):
        channel = await made(office, actor, config={"url": "https://example.com/hook", "secret": "s" * 16})
        edits = [{"secret": f"another secret {round_number}"}, {"url": f"https://example.com/{round_number}"}]
        await asyncio.gather(
            *(office.manage.update_channel(actor, channel.uid, {"config": each}) for each in edits)
        )
        [row] = await office.rows(select(tables.channel.c.config).where(tables.channel.c.id == channel.id))
        opened = office.vault.open(row.config)
        assert {"url": opened["url"], "secret": opened["secret"]} == {**edits[0], **edits[1]}
