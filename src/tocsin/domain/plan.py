"""What a project may do: plans, the two presets, and how a file of one's own is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple

UNLIMITED = 1_000_000  # monitors; what APIs show where a plan names no limit


@dataclass(frozen=True, slots=True)
class Plan:
    """The limits of one plan. None switches a limit off, but for the rates, which are always shown.

    `history_days`: how long pings are shown and kept. `channel_kinds`: the kinds that may be made.
    `pings_per_minute` counts for one token, `pings_per_minute_of_address` for one sender; a dialect's first
    plan says both for all of it, since a ping is counted before anybody knows whose it is.
    """

    name: str
    label: str = ""
    monitor_limit: int = UNLIMITED
    api_access: bool = True
    requests_per_minute: int = 60_000
    requests_per_day: int = 50_000_000
    history_days: int | None = None
    minimum_interval_seconds: int = 1
    channel_kinds: frozenset[str] | None = None
    pings_per_minute: int | None = None
    pings_per_minute_of_address: int | None = None

    def within(self, own: Plan) -> Plan:
        """This plan, but of what a project may have no more than `own` allows. How often it may ask is the
        face's, and so is whether it may."""
        kinds = [each for each in (self.channel_kinds, own.channel_kinds) if each is not None]
        days = [each for each in (self.history_days, own.history_days) if each is not None]
        return replace(
            self,
            monitor_limit=min(self.monitor_limit, own.monitor_limit),
            minimum_interval_seconds=max(self.minimum_interval_seconds, own.minimum_interval_seconds),
            channel_kinds=frozenset.intersection(*kinds) if kinds else None,
            history_days=min(days, default=None),
        )


class History(NamedTuple):
    """How many days pings are kept (None: no limit) for projects of a dialect and a plan; None fits all."""

    dialect: str | None
    plan: str | None
    days: int | None


@dataclass(frozen=True, slots=True)
class Plans:
    """Every plan by dialect and name. The first of a dialect is what a new project gets; `other` stands for
    the dialects that are not listed."""

    by_dialect: Mapping[str, Mapping[str, Plan]] = field(default_factory=dict)
    other: Plan = Plan("standard", "Standard")

    def default(self, dialect: str) -> Plan:
        """The plan of a new project of this dialect."""
        return next(iter(self._of(dialect).values()))

    def first(self) -> dict[str, Plan]:
        """The default plan of each dialect that has plans of its own."""
        return {dialect: self.default(dialect) for dialect in self.by_dialect}

    def plan(self, dialect: str, name: str, own_dialect: str | None = None) -> Plan:
        """The plan that a project's stored name means; an unknown one means the default. `own_dialect` is the
        project's, whose plans count where the one that asks has none, and whose limits are never exceeded
        through another: no face opens more than is paid for."""
        if own_dialect is not None and dialect not in self.by_dialect:
            dialect = own_dialect
        plan = self._of(dialect).get(name) or self.default(dialect)
        return plan if own_dialect in (None, dialect) else plan.within(self.plan(own_dialect, name))

    def histories(self) -> tuple[History, ...]:
        """The histories of all plans; of those that fit a project the first counts. None where no plan
        limits them."""
        found = [
            History(dialect, name, plan.history_days)
            for dialect, plans in self.by_dialect.items()
            for name, plan in [*plans.items(), (None, self.default(dialect))]
        ]
        found.append(History(None, None, self.other.history_days))
        return tuple(found) if any(one.days is not None for one in found) else ()

    def names(self, dialect: str) -> tuple[str, ...]:
        """The names that a person may ask for."""
        return tuple(self._of(dialect))

    def _of(self, dialect: str) -> Mapping[str, Plan]:
        return self.by_dialect.get(dialect) or {self.other.name: self.other}


def parse_plans(tables: Mapping[str, Any]) -> Plans:
    """Plans from a file's tables: `[DIALECT.NAME]` with the fields of Plan; those not named are unlimited.

    Raises ValueError, whose text is one line that names the table and the field.
    """
    by_dialect: dict[str, dict[str, Plan]] = {}
    for dialect, plans in tables.items():
        are_tables = isinstance(plans, Mapping) and all(isinstance(plan, Mapping) for plan in plans.values())
        if not are_tables or not plans:
            raise ValueError(f"{dialect}: must hold plans, as tables such as [{dialect}.free]")
        by_dialect[dialect] = {name: _parse_plan(f"{dialect}.{name}", name, plans[name]) for name in plans}
    return Plans(by_dialect)


def _parse_plan(where: str, name: str, table: Mapping[str, Any]) -> Plan:
    known = {one.name: str(one.type) for one in fields(Plan) if one.name != "name"}
    for key, value in table.items():
        if key not in known:
            raise ValueError(f"{where}: no such limit: {key}")
        if problem := _problem(known[key], value):
            raise ValueError(f"{where}: {key} {problem}")
    kinds = table.get("channel_kinds")
    plan = Plan(**{"label": name.capitalize(), **table, "name": name})
    return plan if kinds is None else replace(plan, channel_kinds=frozenset(kinds))


def _problem(type_name: str, value: object) -> str:
    if type_name.startswith("frozenset"):
        is_list = isinstance(value, list) and all(isinstance(kind, str) for kind in value)
        return "" if is_list else 'must be a list of kinds such as ["email"]'
    if type_name == "str":
        return "" if isinstance(value, str) else "must be text"
    if type_name == "bool":
        return "" if isinstance(value, bool) else "must be true or false"
    is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    return "" if is_count else "must be a whole number, at least 1"


def _hosted() -> dict[str, dict[str, Plan]]:
    """The numbers that the five vendors publish; where one names none, the safety limit stands."""
    cronheart = Plan(
        "free",
        "Free",
        api_access=False,
        minimum_interval_seconds=30,
        pings_per_minute=30,
        pings_per_minute_of_address=600,
    )
    plans = {
        "cronping": [Plan("standard", "Standard", requests_per_minute=100, minimum_interval_seconds=60)],
        "anethoth": [
            Plan("free", "Free", monitor_limit=3),
            Plan("pro", "Pro"),
        ],
        "cronbeats": [
            Plan("free", "Free", api_access=False),
            Plan("business", "Business", requests_per_minute=60, requests_per_day=20_000),
        ],
        "cronheart": [
            cronheart,
            replace(cronheart, name="starter", label="Starter", api_access=True, requests_per_minute=120),
            replace(cronheart, name="growth", label="Growth", api_access=True, requests_per_minute=300),
            replace(cronheart, name="scale", label="Scale", api_access=True, requests_per_minute=600),
        ],
        "cronpeek": [
            Plan(
                "free",
                "Free",
                monitor_limit=5,
                history_days=7,
                minimum_interval_seconds=60,
                # The page sells webhooks as Pro, but its own free sample makes one (dialects.md, cronpeek).
                channel_kinds=frozenset({"email", "webhook"}),
            ),
            Plan("pro", "Pro", minimum_interval_seconds=60),
        ],
    }
    return {dialect: {plan.name: plan for plan in of_dialect} for dialect, of_dialect in plans.items()}


def _self_hosted() -> Plans:
    """No gates. The vendors' names are kept as names, so that a script that asks for one still works."""
    own = Plan("self-hosted", "Self-hosted")
    by_dialect = {
        dialect: {
            plan.name: replace(own, name=plan.name, label=plan.label) for plan in (own, *plans.values())
        }
        for dialect, plans in _hosted().items()
    }
    return Plans(by_dialect, other=own)


PRESETS: Mapping[str, Plans] = {"self-hosted": _self_hosted(), "hosted": Plans(_hosted())}
