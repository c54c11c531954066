from __future__ import annotations

import pytest
from sqlalchemy import Connection, select

from tests.management import Office
from tocsin.domain.errors import Code, TocsinError
from tocsin.store import tables
from tocsin.store.routing import member_addresses
from tocsin.store.sqlite import SqliteStore


@pytest.fixture
def hosted(store: SqliteStore) -> Office:
    """Sign-up is open to everybody."""
    return Office(store, signup_open=True)


async def refused(office: Office, email: str, dialect: str = "cronpeek", *, local: bool = False) -> Code:
    with pytest.raises(TocsinError) as caught:
        await office.manage.create_account(email, dialect, from_loopback=local)
    await office.manage.settle()
    return caught.value.code


async def told(office: Office) -> dict[int, list[str]]:
    """Whom a project's mail goes to."""

    def read(connection: Connection) -> dict[int, list[str]]:
        return member_addresses(connection, list(connection.scalars(select(tables.project.c.id))))

    return await office.store.read(read)


def raw_of(address: str | None) -> str:
    assert address is not None
    assert address.startswith("http://tocsin/link/")
    return address.rpartition("/")[2]


async def test_the_first_account_signs_up_on_the_machine_itself_and_is_trusted(office: Office) -> None:
    made = await office.manage.create_account("Me@Example.com", "cronpeek", from_loopback=True)
    assert (made.plan, made.monitor_limit) == ("free", 5)
    actor = await office.manage.authenticate(made.raw, "cronpeek")
    assert actor.owner_email == "me@example.com"
    assert await told(office) == {actor.project_id: ["me@example.com"]}
    assert office.letters == []
    assert await refused(office, "second@example.com", local=True) is Code.FORBIDDEN


async def test_sign_up_is_closed_to_others(office: Office) -> None:
    assert await refused(office, "me@example.com") is Code.FORBIDDEN
    assert await office.count(tables.account) == 0


@pytest.mark.parametrize("email", ["", "x", "a@", "a b@example.com", "x" * 300 + "@example.com", "a@b\0"])
async def test_a_bad_address_signs_nobody_up(hosted: Office, email: str) -> None:
    assert await refused(hosted, email) is Code.INVALID


async def test_who_signs_up_from_afar_is_told_nothing_before_the_address_is_confirmed(hosted: Office) -> None:
    made = await hosted.manage.create_account("me@example.com", "cronpeek", from_loopback=False)
    actor = await hosted.manage.authenticate(made.raw, "cronpeek")
    await hosted.manage.settle()
    assert await told(hosted) == {}
    [letter] = hosted.letters
    assert await hosted.manage.link_purpose(letter.link) == "confirm"
    await hosted.manage.confirm(letter.link)
    assert await told(hosted) == {actor.project_id: ["me@example.com"]}


async def test_a_stranger_cannot_have_alerts_sent_to_an_account_that_exists(hosted: Office) -> None:
    victim = await hosted.actor(email="victim@example.com")
    await hosted.manage.create_account("victim@example.com", "cronpeek", from_loopback=False)
    assert await told(hosted) == {victim.project_id: ["victim@example.com"]}


async def test_the_same_address_may_be_in_two_dialects(hosted: Office) -> None:
    await hosted.manage.create_account("me@example.com", "cronpeek", from_loopback=False)
    await hosted.manage.create_account("me@example.com", "anethoth", from_loopback=False)
    assert await hosted.count(tables.account) == 1
    assert await hosted.count(tables.project) == 2


async def test_an_existing_address_gets_a_link_and_never_a_key(hosted: Office) -> None:
    first = await hosted.manage.create_account("me@example.com", "cronpeek", from_loopback=False)
    await hosted.manage.settle()
    await hosted.manage.confirm(hosted.letters[-1].link)
    assert await refused(hosted, "me@example.com") is Code.CONFLICT
    letter = hosted.letters[-1]
    assert (letter.to, await hosted.manage.link_purpose(letter.link)) == ("me@example.com", "recover")
    again = await hosted.manage.recover(letter.link)
    old = await hosted.manage.authenticate(first.raw, "cronpeek")
    new = await hosted.manage.authenticate(again.raw, "cronpeek")
    assert (new.project_id, new.key_id) != (old.project_id, old.key_id)
    assert new.project_id == old.project_id
    with pytest.raises(TocsinError):
        await hosted.manage.recover(letter.link)


async def test_who_signed_up_with_a_strangers_address_is_out_once_its_owner_comes(hosted: Office) -> None:
    thief = await hosted.manage.create_account("victim@example.com", "cronpeek", from_loopback=False)
    assert (await hosted.manage.authenticate(thief.raw, "cronpeek")).owner_email == "victim@example.com"
    assert await refused(hosted, "victim@example.com") is Code.CONFLICT
    own = await hosted.manage.recover(hosted.letters[-1].link)
    assert (await hosted.manage.authenticate(own.raw, "cronpeek")).owner_email == "victim@example.com"
    with pytest.raises(TocsinError) as caught:
        await hosted.manage.authenticate(thief.raw, "cronpeek")
    assert caught.value.code is Code.UNAUTHENTICATED


async def test_a_mail_box_is_not_filled(hosted: Office) -> None:
    for _ in range(5):
        try:
            await hosted.manage.create_account("me@example.com", "cronpeek", from_loopback=False)
        except TocsinError:
            await hosted.manage.settle()
    assert [letter.subject for letter in hosted.letters] == ["Confirm your address", "Your Tocsin account"]


async def test_links_are_stored_by_their_hash_and_die_after_half_an_hour(office: Office) -> None:
    raw = raw_of(await office.manage.setup_link())
    assert len(raw) >= 43
    assert raw not in str(await office.rows(select(tables.link)))
    office.hands.pass_(30 * 60 + 1)
    assert await office.manage.link_purpose(raw) is None
    with pytest.raises(TocsinError) as caught:
        await office.manage.set_up(raw, "me@example.com")
    assert caught.value.code is Code.NOT_FOUND


async def test_the_setup_link_makes_the_first_account_once(office: Office) -> None:
    old = raw_of(await office.manage.setup_link())
    raw = raw_of(await office.manage.setup_link())
    assert await office.manage.link_purpose(old) is None
    session = await office.manage.set_up(raw, "me@example.com")
    account = await office.manage.session_account(session.raw)
    assert account is not None
    assert (account.email, account.verified_at is not None) == ("me@example.com", True)
    [project] = await office.manage.projects_of(account.id)
    actor = await office.manage.act_as(account, project.uid)
    assert (actor.project_id, actor.read_only, actor.key_id) == (project.id, False, None)
    with pytest.raises(TocsinError):
        await office.manage.set_up(raw, "thief@example.com")
    assert await office.manage.setup_link() is None


async def test_whoever_sets_up_takes_over_what_the_command_line_made(office: Office) -> None:
    raw_key = await office.key(email=None)
    session = await office.manage.set_up(raw_of(await office.manage.setup_link()), "me@example.com")
    actor = await office.manage.authenticate(raw_key, "tocsin")
    assert [one.id for one in await office.manage.projects_of(session.account.id)] == [actor.project_id]
    assert await told(office) == {actor.project_id: ["me@example.com"]}


async def test_a_mistyped_address_does_not_use_the_link_up(office: Office) -> None:
    raw = raw_of(await office.manage.setup_link())
    with pytest.raises(TocsinError) as caught:
        await office.manage.set_up(raw, "me")
    assert caught.value.code is Code.INVALID
    assert await office.manage.link_purpose(raw) == "setup"


async def test_a_link_of_one_purpose_serves_no_other(office: Office) -> None:
    raw = raw_of(await office.manage.setup_link())
    for attempt in (office.manage.sign_in, office.manage.recover, office.manage.confirm):
        with pytest.raises(TocsinError) as caught:
            await attempt(raw)
        assert caught.value.code is Code.NOT_FOUND
    assert await office.manage.link_purpose(raw) == "setup"


async def test_a_sign_in_link_opens_a_session_until_it_is_ended(office: Office) -> None:
    await office.actor(email="me@example.com")
    await office.manage.send_sign_in_link(" Me@example.com ")
    await office.manage.send_sign_in_link("nobody@example.com")
    await office.manage.settle()
    [letter] = office.letters
    session = await office.manage.sign_in(letter.link)
    assert session.raw not in str(await office.rows(select(tables.session)))
    assert (await office.manage.session_account(session.raw)) == session.account
    await office.manage.end_session(session.raw)
    assert await office.manage.session_account(session.raw) is None
    assert await office.manage.session_account(None) is None


async def test_a_session_ends_after_two_weeks(office: Office) -> None:
    session = await office.manage.set_up(raw_of(await office.manage.setup_link()), "me@example.com")
    office.hands.pass_(14 * 86_400 + 1)
    assert await office.manage.session_account(session.raw) is None


async def test_nobody_acts_in_a_strangers_project(office: Office) -> None:
    stranger = await office.actor(email="other@example.com")
    await office.actor(email="me@example.com")
    await office.manage.send_sign_in_link("me@example.com")
    await office.manage.settle()
    me = (await office.manage.sign_in(office.letters[0].link)).account
    with pytest.raises(TocsinError) as caught:
        await office.manage.act_as(me, stranger.project_uid)
    assert caught.value.code is Code.NOT_FOUND


async def test_a_setup_link_makes_no_second_account(office: Office) -> None:
    raw = raw_of(await office.manage.setup_link())
    await office.manage.create_account("me@example.com", "cronpeek", from_loopback=True)
    for attempt in (
        lambda: office.manage.link_purpose(raw),
        lambda: office.manage.set_up(raw, "thief@example.com"),
        lambda: office.manage.set_up(raw, "me@example.com"),
    ):
        with pytest.raises(TocsinError, match="an account already") as caught:
            await attempt()
        assert caught.value.code is Code.CONFLICT
    assert await office.count(tables.account) == 1


async def test_a_key_with_an_owner_ends_the_setup_link_too(office: Office) -> None:
    raw = raw_of(await office.manage.setup_link())
    await office.key(email="me@example.com")
    with pytest.raises(TocsinError, match="an account already"):
        await office.manage.set_up(raw, "thief@example.com")


@pytest.mark.parametrize("signup_open", [True, False])
async def test_an_owner_confirms_the_address_first_where_anybody_signs_up(
    store: SqliteStore, *, signup_open: bool
) -> None:
    office = Office(store, signup_open=True)
    key = await office.manage.create_account("me@example.com", "cronpeek", from_loopback=False)
    actor = await office.manage.authenticate(key.raw, "cronpeek")
    await office.manage.settle()
    if not signup_open:
        await Office(store).manage.check_owner(actor)
        return
    with pytest.raises(TocsinError) as caught:
        await office.manage.check_owner(actor)
    assert caught.value.code is Code.FORBIDDEN
    await office.manage.confirm(office.letters[0].link)
    await office.manage.check_owner(actor)
