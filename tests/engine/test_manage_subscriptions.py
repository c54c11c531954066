"""Plans that are paid for: news of a subscription may come twice, late, and in any order."""

from __future__ import annotations

from itertools import permutations

import pytest

from tests.management import Office
from tocsin.domain.errors import Code, TocsinError
from tocsin.domain.project import Actor
from tocsin.engine.manage.subscriptions import Purchase
from tocsin.store.sqlite import SqliteStore


@pytest.fixture
def office(store: SqliteStore) -> Office:
    return Office(store)


@pytest.fixture
async def key(office: Office) -> str:
    return await office.key("anethoth")


class Buyer:
    """A project that pays, and who looks at it."""

    def __init__(self, office: Office, key: str) -> None:
        self.office = office
        self.key = key

    async def actor(self) -> Actor:
        return await self.office.manage.authenticate(self.key, "anethoth")

    async def plan(self) -> str:
        return (await self.actor()).plan.name

    async def news(self, what: str, subscription: str, plan: str = "pro", at: int = 1) -> bool:
        purchase = Purchase(subscription, (await self.actor()).project_uid, plan, at)
        manage = self.office.manage
        return await (manage.begin_subscription if what == "begins" else manage.end_subscription)(purchase)


@pytest.fixture
def buyer(office: Office, key: str) -> Buyer:
    return Buyer(office, key)


async def test_a_payment_counts_at_once_and_so_does_its_end(buyer: Buyer) -> None:
    assert await buyer.plan() == "free"
    assert await buyer.news("begins", "sub_1")
    assert await buyer.plan() == "pro"
    assert await buyer.news("ends", "sub_1")
    assert await buyer.plan() == "free"


async def test_a_subscription_that_ended_never_begins_again(buyer: Buyer) -> None:
    await buyer.news("begins", "sub_1")
    await buyer.news("ends", "sub_1")
    assert await buyer.news("begins", "sub_1")
    assert await buyer.plan() == "free"


@pytest.mark.parametrize(
    "order", [*permutations([("begins", "sub_1", 1), ("ends", "sub_1", 2), ("begins", "sub_2", 3)])]
)
async def test_the_end_of_an_old_subscription_does_not_end_a_new_one(
    buyer: Buyer, order: list[tuple[str, str, int]]
) -> None:
    for what, subscription, at in (*order, *order):
        assert await buyer.news(what, subscription, at=at)
    assert await buyer.plan() == "pro"
    await buyer.news("ends", "sub_2", at=4)
    assert await buyer.plan() == "free"


async def test_of_two_subscriptions_the_one_that_was_bought_last_counts(store: SqliteStore) -> None:
    office = Office(store)
    buyer = Buyer(office, await office.key("anethoth"))
    await buyer.news("begins", "sub_new", plan="pro", at=20)
    await buyer.news("begins", "sub_old", plan="free", at=10)
    assert await buyer.plan() == "pro"
    await buyer.news("ends", "sub_new", at=30)
    assert await buyer.plan() == "free"


async def test_news_that_come_again_leave_a_plan_alone_that_was_set_by_hand(buyer: Buyer) -> None:
    await buyer.news("begins", "sub_1")
    await buyer.news("ends", "sub_1")
    await buyer.office.key("anethoth", plan="pro")
    for what in ("begins", "ends"):
        await buyer.news(what, "sub_1")
    buyer.office.hands.pass_(2)  # what was known of the key is forgotten after a second
    assert await buyer.plan() == "pro"


async def test_news_of_nobody_change_nothing(buyer: Buyer) -> None:
    manage = buyer.office.manage
    for uid in ("f" * 32, "", "\ud800"):
        assert not await manage.begin_subscription(Purchase("sub_1", uid, "pro", 1))
        assert not await manage.end_subscription(Purchase("sub_1", uid, "pro", 1))
    assert await buyer.plan() == "free"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gold", "one of: free, pro"),
        (None, "one of"),
        (7, "one of"),
        (["pro"], "one of"),
        ("free", "already"),
    ],
)
async def test_a_plan_that_cannot_be_bought_is_refused(buyer: Buyer, name: object, said: str) -> None:
    with pytest.raises(TocsinError, match=said) as refused:
        buyer.office.manage.choose_plan(await buyer.actor(), name)
    assert (refused.value.code, set(refused.value.fields)) == (Code.INVALID, {"plan"})


async def test_the_plan_to_begin_with_is_never_bought(buyer: Buyer) -> None:
    assert buyer.office.manage.choose_plan(await buyer.actor(), "pro") == "pro"
    await buyer.news("begins", "sub_1")
    for name, said in (("pro", "already"), ("free", "end the subscription")):
        with pytest.raises(TocsinError, match=said):
            buyer.office.manage.choose_plan(await buyer.actor(), name)


async def test_a_read_only_key_buys_nothing(office: Office) -> None:
    actor = await office.actor("anethoth", read_only=True)
    with pytest.raises(TocsinError) as refused:
        office.manage.choose_plan(actor, "pro")
    assert refused.value.code is Code.FORBIDDEN
