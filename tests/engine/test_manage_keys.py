from __future__ import annotations

import hashlib
import re
from typing import Any

import pytest
from sqlalchemy import Connection, select

from tests.management import Office
from tocsin.domain.errors import Code, TocsinError
from tocsin.domain.monitor import SECOND
from tocsin.store import keys, tables

FORMATS = {
    "cronpeek": r"cpk_[0-9a-f]{32}",
    "cronping": r"cpk_[A-Za-z0-9]{40}",
    "anethoth": r"ch_[A-Za-z0-9]{40}",
    "cronbeats": r"cb_[A-Za-z0-9]{40}",
    "cronheart": r"cmk_[A-Za-z0-9]{40}",
    "tocsin": r"tsn_[A-Za-z0-9]{40}",
}


async def refused(office: Office, raw: str | None, dialect: str = "tocsin") -> Code:
    with pytest.raises(TocsinError) as caught:
        await office.manage.authenticate(raw, dialect)
    return caught.value.code


@pytest.mark.parametrize("dialect", FORMATS)
async def test_a_key_has_its_vendors_format_and_only_its_hash_is_stored(office: Office, dialect: str) -> None:
    raw = await office.key(dialect)
    assert re.fullmatch(FORMATS[dialect], raw)
    [row] = await office.rows(select(tables.key))
    assert (row.hash, row.prefix) == (hashlib.sha256(raw.encode()).hexdigest(), raw[:12])
    assert raw not in str(row)


async def test_a_key_tells_who_carries_it(office: Office) -> None:
    raw = await office.key("cronpeek", project="work", read_only=True)
    actor = await office.manage.authenticate(raw, "cronpeek")
    assert (actor.dialect, actor.read_only, actor.owner_email) == ("cronpeek", True, "owner@example.com")
    assert (actor.plan.name, actor.plan.monitor_limit) == ("free", 5)
    assert (await office.manage.project(actor)).name == "work"


@pytest.mark.parametrize("raw", [None, "", "x", "tsn_" + "x" * 40, "tsn_é\ud800", "x" * 100_000])
async def test_an_unknown_key_is_refused(office: Office, raw: str | None) -> None:
    assert await refused(office, raw) is Code.UNAUTHENTICATED


async def test_a_key_of_another_dialect_is_refused(office: Office) -> None:
    assert await refused(office, await office.key("cronpeek"), "cronping") is Code.UNAUTHENTICATED


async def test_a_plan_without_an_api_is_told_so(office: Office) -> None:
    assert await refused(office, await office.key("cronheart"), "cronheart") is Code.PAYMENT_REQUIRED


async def test_a_key_ends_when_it_expires(office: Office) -> None:
    raw = await office.key(expires_at=office.clock.now() + 10 * SECOND)
    await office.manage.authenticate(raw, "tocsin")
    office.hands.pass_(11)
    assert await refused(office, raw) is Code.UNAUTHENTICATED


async def test_a_revoked_key_is_refused_at_once(office: Office) -> None:
    actor = await office.actor()
    view, raw = await office.manage.create_key(actor, label="second")
    await office.manage.authenticate(raw, "tocsin")
    await office.manage.revoke_key(actor, view.uid)
    assert await refused(office, raw) is Code.UNAUTHENTICATED
    with pytest.raises(TocsinError) as caught:
        await office.manage.revoke_key(actor, view.uid)
    assert caught.value.code is Code.NOT_FOUND


async def test_a_key_that_another_process_revokes_works_for_a_second_at_most(office: Office) -> None:
    raw = await office.key()
    actor = await office.manage.authenticate(raw, "tocsin")
    [view] = await office.manage.list_keys(actor)
    await office.store.write(lambda connection: keys.revoke(connection, view.uid, 1))
    office.hands.pass_(1.1)
    assert await refused(office, raw) is Code.UNAUTHENTICATED


async def test_keys_of_another_project_are_out_of_reach(office: Office) -> None:
    mine = await office.actor()
    theirs = await office.actor(email="other@example.com")
    [view] = await office.manage.list_keys(mine)
    with pytest.raises(TocsinError):
        await office.manage.revoke_key(theirs, view.uid)
    assert len(await office.manage.list_keys(mine)) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("dialect", "x"),
        ("dialect", ""),
        ("label", "x" * 101),
        ("label", "a\nb"),
        ("expires_at", 1),
        ("read_only", "yes"),
    ],
)
async def test_a_key_with_a_bad_field_is_not_made(office: Office, field: str, value: Any) -> None:
    actor = await office.actor()
    with pytest.raises(TocsinError) as caught:
        await office.manage.create_key(actor, **{field: value})
    assert set(caught.value.fields) == {field}
    assert len(await office.manage.list_keys(actor)) == 1


async def test_the_last_use_is_noted_once_a_minute(office: Office) -> None:
    raw = await office.key()

    async def noted() -> int | None:
        actor = await office.manage.authenticate(raw, "tocsin")
        await office.manage.settle()
        [view] = await office.manage.list_keys(actor)
        return view.last_used_at

    first = await noted()
    office.hands.pass_(30)
    assert first is not None
    assert await noted() == first
    office.hands.pass_(31)
    assert (await noted() or 0) > first


async def test_a_plan_that_is_changed_beside_us_holds_within_a_second(office: Office) -> None:
    raw = await office.key("cronpeek")
    await office.manage.authenticate(raw, "cronpeek")
    await office.key("cronpeek", plan="pro")
    office.hands.pass_(1.1)
    assert (await office.manage.authenticate(raw, "cronpeek")).plan.name == "pro"


async def test_the_project_can_be_renamed_and_its_rules_changed(office: Office) -> None:
    actor = await office.actor()
    changed = await office.manage.update_project(actor, {"name": "new", "alert_on_recovery": False})
    assert (changed.name, changed.alert_on_down, changed.alert_on_recovery) == ("new", True, False)
    assert await office.manage.update_project(actor, {}) == changed
    with pytest.raises(TocsinError) as caught:
        await office.manage.update_project(actor, {"name": "", "alert_on_down": 1, "plan": "pro"})
    assert set(caught.value.fields) == {"name", "alert_on_down", "plan"}


def ids(connection: Connection) -> list[int]:
    return list(connection.scalars(select(tables.project.c.id)))


async def test_what_is_missing_around_a_key_is_made_once(office: Office) -> None:
    await office.key(email=None)
    await office.key("cronpeek", email=None)
    await office.key("cronping", email=None, project="other")
    assert len(await office.store.read(ids)) == 2
    emails = [row.email for row in await office.rows(select(tables.account.c.email))]
    assert emails == ["owner@localhost"]
    await office.key(email="New@Example.com")
    await office.key(email="new@example.com")
    assert len(await office.store.read(ids)) == 3
    members = await office.rows(select(tables.member.c.wants_alerts))
    assert [row.wants_alerts for row in members] == [False, False, True]


@pytest.mark.parametrize(
    ("field", "value"), [("dialect", "x"), ("email", "x"), ("project", ""), ("plan", "no such")]
)
async def test_a_key_is_not_issued_for_a_bad_wish(office: Office, field: str, value: str) -> None:
    with pytest.raises(TocsinError) as caught:
        await office.key(**{"dialect": "cronpeek", field: value})
    assert set(caught.value.fields) == {field}
    assert await office.count(tables.key) == await office.count(tables.project) == 0
