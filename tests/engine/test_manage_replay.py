"""engine/manage/replay.py: who may carry a request out, and what becomes of its key."""

from __future__ import annotations

import asyncio

import pytest

from tests.management import Office
from tocsin.domain.errors import Code, TocsinError
from tocsin.domain.project import Actor
from tocsin.domain.replay import Answered, Slot
from tocsin.engine.prune import Prune, Retention
from tocsin.store import tables

MADE = Answered(201, b'{"id":1}', {"location": "/1", "content-type": "application/json"})


async def claimed(office: Office, actor: Actor, key: str = "key", fingerprint: str = "f") -> Slot:
    slot = await office.manage.claim_request(actor, key, fingerprint)
    assert isinstance(slot, Slot)
    return slot


async def refusal(office: Office, actor: Actor, fingerprint: str = "f") -> str:
    with pytest.raises(TocsinError) as caught:
        await office.manage.claim_request(actor, "key", fingerprint)
    assert caught.value.code is Code.CONFLICT
    return caught.value.message


async def test_a_kept_answer_is_given_again_whole(office: Office, actor: Actor) -> None:
    await office.manage.keep_answer(await claimed(office, actor), MADE)
    for _ in range(2):
        assert await office.manage.claim_request(actor, "key", "f") == MADE


async def test_an_answer_without_a_body_is_an_answer(office: Office, actor: Actor) -> None:
    await office.manage.keep_answer(await claimed(office, actor), Answered(204, b""))
    assert await office.manage.claim_request(actor, "key", "f") == Answered(204, b"", {})


async def test_a_claimed_or_used_key_is_a_conflict(office: Office, actor: Actor) -> None:
    slot = await claimed(office, actor)
    assert "under way" in await refusal(office, actor)
    assert "another request" in await refusal(office, actor, "other")
    await office.manage.keep_answer(slot, MADE)
    assert "another request" in await refusal(office, actor, "other")


async def test_a_released_key_is_free_for_any_request(office: Office, actor: Actor) -> None:
    await office.manage.release_request(await claimed(office, actor))
    await claimed(office, actor, fingerprint="other")


async def test_an_answer_is_not_released(office: Office, actor: Actor) -> None:
    slot = await claimed(office, actor)
    await office.manage.keep_answer(slot, MADE)
    await office.manage.release_request(slot)
    assert await office.manage.claim_request(actor, "key", "f") == MADE


async def test_of_many_at_once_one_gets_the_key(office: Office, actor: Actor) -> None:
    attempts = [office.manage.claim_request(actor, "key", "f") for _ in range(50)]
    results = await asyncio.gather(*attempts, return_exceptions=True)
    assert [type(one) for one in results].count(Slot) == 1
    assert all(isinstance(one, (Slot, TocsinError)) for one in results)


async def test_a_claim_without_an_answer_is_void_after_a_minute(office: Office, actor: Actor) -> None:
    stale = await claimed(office, actor)
    office.hands.pass_(60)
    assert "under way" in await refusal(office, actor)
    office.hands.pass_(1)
    fresh = await claimed(office, actor, fingerprint="other")
    await office.manage.keep_answer(stale, Answered(201, b"stale"))
    await office.manage.release_request(stale)
    assert "under way" in await refusal(office, actor, "other")
    await office.manage.keep_answer(fresh, MADE)
    assert await office.manage.claim_request(actor, "key", "other") == MADE


async def test_an_answer_is_void_after_a_day(office: Office, actor: Actor) -> None:
    await office.manage.keep_answer(await claimed(office, actor), MADE)
    office.hands.pass_(24 * 3600)
    assert await office.manage.claim_request(actor, "key", "f") == MADE
    office.hands.pass_(1)
    await claimed(office, actor, fingerprint="other")


async def test_a_key_is_its_projects(office: Office, actor: Actor) -> None:
    stranger = await office.actor(email="else@example.com", project="theirs")
    await office.manage.keep_answer(await claimed(office, actor), MADE)
    await claimed(office, stranger)


async def test_a_read_only_key_claims_nothing_and_reads_nothing(office: Office, actor: Actor) -> None:
    await office.manage.keep_answer(await claimed(office, actor), MADE)
    reader = await office.actor(read_only=True)
    with pytest.raises(TocsinError) as caught:
        await office.manage.claim_request(reader, "key", "f")
    assert caught.value.code is Code.FORBIDDEN


async def test_what_is_older_than_a_day_is_forgotten(office: Office, actor: Actor) -> None:
    for number in range(120):
        await office.manage.keep_answer(await claimed(office, actor, f"old {number}"), MADE)
    await claimed(office, actor, "old and never answered")
    office.hands.pass_(24 * 3600 + 1)
    await office.manage.keep_answer(await claimed(office, actor, "young"), MADE)
    await Prune(office.store, office.clock, Retention(pause_seconds=0)).prune_once()
    assert await office.count(tables.replay) == 1
    assert await office.manage.claim_request(actor, "young", "f") == MADE
