"""What commands hand out to whoever runs the server: keys with all that is missing around them, and links."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from tocsin.domain.errors import invalid
from tocsin.domain.plan import Plans
from tocsin.domain.record import AccountView, ProjectView
from tocsin.engine.manage.credentials import DIALECTS
from tocsin.engine.manage.desk import not_found, sound
from tocsin.engine.manage.form import LONGEST_NAME, Form
from tocsin.engine.manage.keys import add_key
from tocsin.engine.manage.links import SIGN_IN, make_link
from tocsin.engine.manage.projects import add_project
from tocsin.store import accounts, projects
from tocsin.store.accounts import Link

# Owns what is made before anybody signs in; the first who does takes its place (Accounts.set_up).
PLACEHOLDER = "owner@localhost"
PROJECT = "default"


@dataclass(frozen=True, slots=True)
class KeyWish:
    """What a key is wanted for; None leaves the choice to us."""

    dialect: str
    project: str | None = None
    email: str | None = None
    plan: str | None = None
    read_only: bool = False
    expires_at: int | None = None
    label: str = ""


def issue_key(connection: Connection, plans: Plans, wish: KeyWish, now: int) -> str:
    """A new key's raw text. The account (whose address counts as verified) and the project are made where
    they are missing; a named plan becomes the project's. TocsinError(INVALID)."""
    form = Form()
    form.choice("dialect", wish.dialect, DIALECTS)
    email = None if wish.email is None else form.address("email", wish.email).lower()
    name = None if wish.project is None else form.text("project", wish.project, 1, LONGEST_NAME)
    label = form.text("label", wish.label, 0, LONGEST_NAME)
    form.finish()
    if wish.plan is not None and wish.plan not in plans.names(wish.dialect):
        names = ", ".join(plans.names(wish.dialect))
        raise invalid("plan", f"There is no plan {wish.plan} for {wish.dialect}, only: {names}.")
    project = _project(connection, plans, wish, name or PROJECT, email, now)
    _, raw = add_key(
        connection,
        project.id,
        wish.dialect,
        now,
        label=label,
        read_only=wish.read_only,
        expires_at=wish.expires_at,
    )
    return raw


def issue_sign_in_link(connection: Connection, email: str, now: int) -> str:
    """The path of a one-time link by which an account's owner signs in. NOT_FOUND."""
    account = accounts.find(connection, sound(email).strip().lower())
    if account is None:
        raise not_found("account")
    return make_link(connection, Link(SIGN_IN, account.id, None), now)


def _project(
    connection: Connection, plans: Plans, wish: KeyWish, name: str, email: str | None, now: int
) -> ProjectView:
    owner = None if email is None else _account(connection, email, now)
    found = projects.find(connection, name=name, owner_id=owner.id if owner else None)
    if found is None:
        owner = owner or accounts.first(connection) or _account(connection, PLACEHOLDER, now)
        return add_project(
            connection,
            plans,
            name=name,
            dialect=wish.dialect,
            owner_id=owner.id,
            now=now,
            plan=wish.plan,
            wants_alerts=owner.email != PLACEHOLDER,
        )
    if wish.plan is not None:
        projects.change(connection, found.id, {"plan": wish.plan})
    return found


def _account(connection: Connection, email: str, now: int) -> AccountView:
    found = accounts.find(connection, email)
    if found is None:
        return accounts.add(connection, email, now, verified_at=now)
    accounts.verify(connection, found.id, now)
    return found
