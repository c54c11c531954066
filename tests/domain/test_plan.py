from __future__ import annotations

from typing import Any

import pytest

from tocsin.domain.plan import PRESETS, UNLIMITED, parse_plans


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


def test_an_unknown_name_means_the_default() -> None:
    assert PRESETS["hosted"].plan("cronpeek", "self-hosted").name == "free"


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
