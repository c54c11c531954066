"""Plans that are paid for: who may buy which, and what a payment or its end means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from tocsin.domain.errors import invalid
from tocsin.domain.project import Actor
from tocsin.domain.record import ProjectView
from tocsin.engine.manage.desk import may_write, sound
from tocsin.engine.manage.form import Form
from tocsin.engine.manage.keys import Keys
from tocsin.store import projects, subscriptions
from tocsin.store.subscriptions import Subscription

_Note = Callable[[Connection, ProjectView], bool]  # whether it changes what the project pays for


@dataclass(frozen=True, slots=True)
class Purchase:
    """A subscription as its seller tells of it. `at`: when it was bought, or when it ended."""

    subscription_id: str
    project_uid: str
    plan: str
    at: int


class Subscriptions(Keys):
    """Use cases around what a project pays for.

    News of a subscription may come twice and in any order: one that has ended never begins again, and a
    project is on the plan of its newest one that lasts.
    """

    def choose_plan(self, actor: Actor, name: Any) -> str:
        """The plan that the actor may buy under this name. INVALID (`plan`) where there is none, where the
        project has it already, or where it is the one to begin with; FORBIDDEN (read-only)."""
        may_write(actor)
        plans = self._tools.plans
        form = Form()
        chosen = form.choice("plan", name, plans.names(actor.dialect))
        form.finish()
        if chosen == actor.plan.name:
            raise invalid("plan", f"This account is on the plan {chosen} already.")
        if chosen == plans.default(actor.dialect).name:
            raise invalid("plan", f"The plan {chosen} is free: end the subscription to return to it.")
        return chosen

    async def begin_subscription(self, purchase: Purchase) -> bool:
        """A plan was paid for: the project is on it from now on. False where the project is unknown."""

        def begin(connection: Connection, project: ProjectView) -> bool:
            if subscriptions.get(connection, purchase.subscription_id) is not None:
                return False
            subscriptions.add(connection, _row(purchase, project))
            return True

        return await self._settle_plan(purchase, begin)

    async def end_subscription(self, purchase: Purchase) -> bool:
        """A subscription is over: the project is back on the plan of one that lasts, else on its dialect's
        default. False where the project is unknown."""

        def end(connection: Connection, project: ProjectView) -> bool:
            known = subscriptions.get(connection, purchase.subscription_id)
            if known is None:
                subscriptions.add(connection, _row(purchase, project)._replace(ended_at=purchase.at))
                return False
            subscriptions.end(connection, known.id, purchase.at)
            return known.ended_at is None

        return await self._settle_plan(purchase, end)

    async def _settle_plan(self, purchase: Purchase, note: _Note) -> bool:
        """Write what is new, and put the project on the plan that follows from it."""

        def write(connection: Connection) -> bool:
            project = projects.find(connection, uid=sound(purchase.project_uid))
            if project is None:
                return False
            # News of two subscriptions of one project wait for each other, whatever the database.
            projects.lock_monitor_count(connection, project.id)
            if note(connection, project):
                default = self._tools.plans.default(project.dialect).name
                plan = subscriptions.plan_of(connection, project.id) or default
                projects.change(connection, project.id, {"plan": plan})
            return True

        is_known = await self._tools.store.write(write)
        self._forget_keys()
        return is_known


def _row(purchase: Purchase, project: ProjectView) -> Subscription:
    return Subscription(purchase.subscription_id, project.id, purchase.plan, purchase.at)
