"""The account: its plan, and what is left of its limits."""

from __future__ import annotations

from pydantic import Field
from starlette.responses import Response

from tocsin.web.api import Call, json_response
from tocsin.web.dialects.cronheart.shapes import Given
from tocsin.web.openapi import Operation
from tocsin.web.rate import Standing


class Plan(Given):
    """What the account's plan is called, and allows."""

    key: str = Field(examples=["starter"])
    label: str = Field(examples=["Starter"])
    monitor_limit: int


class Budget(Given):
    """Monitors, of those that the plan allows."""

    used: int
    limit: int
    remaining: int


class RateLimit(Given):
    """Requests in the last 60 seconds; this one is counted."""

    limit: int
    remaining: int


class Account(Given):
    """What the account may do, and how much of it is left."""

    plan: Plan
    monitor_budget: Budget
    api_rate_limit: RateLimit


async def get_account(call: Call) -> Response:
    """The plan, and what is left of its limits."""
    plan, project = call.actor.plan, await call.manage.project(call.actor)
    standing: Standing = call.request.state.standing
    used, limit = project.monitor_count, plan.monitor_limit
    return json_response(
        {
            "plan": {"key": plan.name, "label": plan.label, "monitor_limit": limit},
            "monitor_budget": {"used": used, "limit": limit, "remaining": max(0, limit - used)},
            "api_rate_limit": {"limit": standing.minute.limit, "remaining": standing.minute.remaining},
        }
    )


OPERATIONS = (Operation("GET", "/account", get_account, "Get the account", {200: Account}, refusals=(402,)),)
