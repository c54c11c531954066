"""What projects pay for, by Stripe's ids."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, insert, select, update

from tocsin.store.tables import subscription


class Subscription(NamedTuple):
    """A row. `bought_at` is by Stripe's clock; `ended_at` None while it lasts."""

    id: str
    project_id: int
    plan: str
    bought_at: int
    ended_at: int | None = None


def get(connection: Connection, subscription_id: str) -> Subscription | None:
    """One."""
    query = select(*(subscription.c[name] for name in Subscription._fields))
    row = connection.execute(query.where(subscription.c.id == subscription_id)).first()
    return Subscription._make(row) if row else None


def add(connection: Connection, new: Subscription) -> None:
    """A new one."""
    connection.execute(insert(subscription).values(new._asdict()))


def end(connection: Connection, subscription_id: str, at: int) -> None:
    """It is over."""
    ended = update(subscription).where(subscription.c.id == subscription_id)
    connection.execute(ended.values(ended_at=at))


def plan_of(connection: Connection, project_id: int) -> str | None:
    """The plan of the project's newest one that lasts; None where there is none."""
    lasting = select(subscription.c.plan).where(
        subscription.c.project_id == project_id, subscription.c.ended_at.is_(None)
    )
    newest = lasting.order_by(subscription.c.bought_at.desc(), subscription.c.id.desc()).limit(1)
    plan: str | None = connection.execute(newest).scalar_one_or_none()
    return plan
