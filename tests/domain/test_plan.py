from __future__ import annotations

from typing import Any

import pytest

from tocsin.domain.plan import PRESETS, UNLIMITED, History, Plan, parse_plans


def test_self_hosted_has_no_gates_whatever_a_plan_is_called() -> None:
    plans = PRESETS["self-hosted"]
    for dialect, name in (("cronheart", "free"), ("cronpeek", "pro"), ("tocsin", "x"), ("cronping", "x")):
        plan = plans.plan(dialect, name)
        assert (plan.monitor_limit, plan.api_access, plan.history_days) == (UNLIMITED, True, None)
        assert (plan.requests_per_minute, plan.requests_per_day) == (60_000, 50_000_000)
    assert plans.default("cronpeek").name == "self-hosted"
    assert plans.names("cronpeek") == ("self-hosted", "free", "pro")
    assert plans.names("tocsin") == ("self-hosted",)


def test_hosted_has_the_vendors_numbers() -> None:
    plans = PRESETS["hosted"]
    cronpeek = plans.default("cronpeek")
    assert (cronpeek.name, cronpeek.monitor_limit, cronpeek.history_days) == ("free", 5, 7)
    assert plans.default("anethoth").monitor_limit == 3
    assert plans.default("cronping").requests_per_minute == 100
    business = plans.plan("cronbeats", "business")
    assert (business.requests_per_minute, business.requests_per_day) == (60, 20_000)
    access = {name: plans.plan("cronheart", name).api_access for name in plans.names("cronheart")}
    assert access == {"free": False, "starter": True, "growth": True, "scale": True}
    limits = [plans.plan("cronheart", name).requests_per_minute for name in ("starter", "growth", "scale")]
    assert limits == [120, 300, 600]
    assert plans.plan("cronheart", "scale").pings_per_minute == 30


_CRONHEART = {"minimum_interval_seconds": 30, "pings_per_minute": 30, "pings_per_minute_of_address": 600}
# What the five services publish of each plan, and nothing else: the rest of a plan's limits is off.
PUBLISHED: dict[str, dict[str, dict[str, Any]]] = {
    "cronping": {"standard": {"requests_per_minute": 100, "minimum_interval_seconds": 60}},
    "anethoth": {"free": {"monitor_limit": 3}, "pro": {}},
    "cronbeats": {
        "free": {"api_access": False},
        "business": {"requests_per_minute": 60, "requests_per_day": 20_000},
    },
    "cronheart": {
        "free": {**_CRONHEART, "api_access": False},
        "starter": {**_CRONHEART, "requests_per_minute": 120},
        "growth": {**_CRONHEART, "requests_per_minute": 300},
        "scale": {**_CRONHEART, "requests_per_minute": 600},
    },
    "cronpeek": {
        "free": {
            "monitor_limit": 5,
            "history_days": 7,
            "minimum_interval_seconds": 60,
            "channel_kinds": frozenset({"email", "webhook"}),
        },
        "pro": {"minimum_interval_seconds": 60},
    },
}


def test_hosted_has_every_plan_of_every_dialect_and_no_limit_besides() -> None:
    expected = {
        dialect: {name: Plan(name, name.capitalize(), **limits) for name, limits in plans.items()}
        for dialect, plans in PUBLISHED.items()
    }
    assert PRESETS["hosted"].by_dialect == expected
    assert [[*plans] for plans in PRESETS["hosted"].by_dialect.values()] == [
        [*plans] for plans in PUBLISHED.values()
    ]


@pytest.mark.parametrize("dialect", ["tocsin", *PUBLISHED])
def test_self_hosted_gives_each_plan_of_each_dialect_all_there_is(dialect: str) -> None:
    plans = PRESETS["self-hosted"]
    for name in plans.names(dialect):
        plan = plans.plan(dialect, name)
        assert plan == Plan(name, plan.label)


def test_the_history_of_a_project_is_that_of_its_plan_or_of_the_default() -> None:
    assert PRESETS["self-hosted"].histories() == ()
    short = {"tocsin": {"short": {"history_days": 2}, "long": {"history_days": 30}, "all": {}}}
    assert parse_plans(short).histories() == (
        History("tocsin", "short", 2),
        History("tocsin", "long", 30),
        History("tocsin", "all", None),
        History("tocsin", None, 2),
        History(None, None, None),
    )
    hosted = PRESETS["hosted"].histories()
    assert [one for one in hosted if one.days] == [
        History("cronpeek", "free", 7),
        History("cronpeek", None, 7),
    ]


def test_an_unknown_name_means_the_default() -> None:
    assert PRESETS["hosted"].plan("cronpeek", "self-hosted").name == "free"


def test_a_face_without_plans_shows_those_of_the_projects_own_dialect() -> None:
    hosted = PRESETS["hosted"]
    assert hosted.plan("tocsin", "free", "cronpeek") == hosted.plan("cronpeek", "free")
    assert hosted.plan("tocsin", "standard", "tocsin").monitor_limit == UNLIMITED


def test_no_face_opens_more_than_the_plan_of_the_projects_own_dialect() -> None:
    hosted = PRESETS["hosted"]
    own = hosted.plan("cronpeek", "free")
    through = hosted.plan("cronping", "free", "cronpeek")
    assert (through.name, through.requests_per_minute) == ("standard", 100)
    assert (through.monitor_limit, through.history_days) == (own.monitor_limit, own.history_days)
    assert through.channel_kinds == own.channel_kinds
    assert hosted.plan("cronpeek", "free", "anethoth").monitor_limit == 3
    assert hosted.plan("anethoth", "free", "cronpeek").monitor_limit == 3
    assert hosted.plan("cronping", "pro", "anethoth").monitor_limit == UNLIMITED
    assert hosted.plan("cronping", "free", "cronheart").api_access
    assert not hosted.plan("cronheart", "free", "cronping").api_access
    both = parse_plans(
        {"cronping": {"x": {"channel_kinds": ["a", "b"]}}, "anethoth": {"x": {"channel_kinds": ["b"]}}}
    )
    assert both.plan("cronping", "x", "anethoth").channel_kinds == frozenset({"b"})


def test_a_file_names_the_limits_that_there_are() -> None:
    small = {"monitor_limit": 2, "channel_kinds": ["email"]}
    plans = parse_plans({"tocsin": {"small": small, "big": {"label": "Large"}}})
    assert plans.default("tocsin").channel_kinds == frozenset({"email"})
    assert (plans.default("tocsin").monitor_limit, plans.default("tocsin").label) == (2, "Small")
    assert (plans.plan("tocsin", "big").label, plans.plan("tocsin", "big").monitor_limit) == (
        "Large",
        UNLIMITED,
    )
    assert plans.default("cronpeek").monitor_limit == UNLIMITED


@pytest.mark.parametrize(
    ("tables", "where"),
    [
        ({"tocsin": 5}, "tocsin: "),
        ({"tocsin": {}}, "tocsin: "),
        ({"tocsin": {"free": 5}}, "tocsin: "),
        ({"tocsin": {"free": {"monitors": 5}}}, "tocsin.free: no such limit: monitors"),
        ({"tocsin": {"free": {"name": "x"}}}, "tocsin.free: no such limit: name"),
        ({"tocsin": {"free": {"monitor_limit": 0}}}, "tocsin.free: monitor_limit must be a whole number"),
        ({"tocsin": {"free": {"monitor_limit": True}}}, "tocsin.free: monitor_limit must be"),
        ({"tocsin": {"free": {"monitor_limit": "5"}}}, "tocsin.free: monitor_limit must be"),
        ({"tocsin": {"free": {"api_access": 1}}}, "tocsin.free: api_access must be true or false"),
        ({"tocsin": {"free": {"label": 1}}}, "tocsin.free: label must be text"),
        ({"tocsin": {"free": {"channel_kinds": "email"}}}, "tocsin.free: channel_kinds must be a list"),
    ],
)
def test_a_mistake_in_a_file_is_named(tables: dict[str, Any], where: str) -> None:
    with pytest.raises(ValueError, match=f"^{where}"):
        parse_plans(tables)
