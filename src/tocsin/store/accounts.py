"""Accounts, their one-time links and their sessions."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from tocsin.domain.record import AccountView
from tocsin.store.tables import account, link, session

_VIEW = select(account.c.id, account.c.email, account.c.verified_at, account.c.created_at)


class Link(NamedTuple):
    """A one-time link that was made; only its hash is known."""

    purpose: str
    account_id: int | None
    channel_id: int | None


def count(connection: Connection, *, without: str = "") -> int:
    """How many accounts there are, but for that address."""
    return connection.execute(select(func.count()).where(account.c.email != without)).scalar_one()


def find(connection: Connection, email: str) -> AccountView | None:
    """The account of an address, which must be in lower case."""
    row = connection.execute(_VIEW.where(account.c.email == email)).first()
    return AccountView._make(row) if row else None


def get(connection: Connection, account_id: int) -> AccountView | None:
    """The account of an id."""
    row = connection.execute(_VIEW.where(account.c.id == account_id)).first()
    return AccountView._make(row) if row else None


def first(connection: Connection) -> AccountView | None:
    """The oldest account."""
    row = connection.execute(_VIEW.order_by(account.c.id).limit(1)).first()
    return AccountView._make(row) if row else None


def rename(connection: Connection, account_id: int, email: str) -> None:
    """Give an account another address, which must be in lower case and free."""
    connection.execute(update(account).where(account.c.id == account_id).values(email=email))


def add(connection: Connection, email: str, now: int, verified_at: int | None) -> AccountView:
    """A new account; its address, in lower case, must be free."""
    values = {"email": email, "verified_at": verified_at, "created_at": now}
    new_id = connection.execute(insert(account).values(values).returning(account.c.id)).scalar_one()
    return AccountView(new_id, email, verified_at, now)


def verify(connection: Connection, account_id: int, now: int) -> None:
    """The address is the account's own."""
    unverified = (account.c.id == account_id) & account.c.verified_at.is_(None)
    connection.execute(update(account).where(unverified).values(verified_at=now))


def add_link(connection: Connection, hashed: str, made: Link, expires_at: int) -> None:
    """Remember a link by the hash of its secret."""
    connection.execute(insert(link).values(hash=hashed, expires_at=expires_at, **made._asdict()))


def find_link(connection: Connection, hashed: str, now: int) -> Link | None:
    """A link that may still be used."""
    query = select(link.c.purpose, link.c.account_id, link.c.channel_id)
    row = connection.execute(query.where(link.c.hash == hashed, _usable(now))).first()
    return Link._make(row) if row else None


def use_link(connection: Connection, hashed: str, now: int) -> Link | None:
    """Take a link's force; None where it had none. Of two at the same time only one succeeds."""
    used = update(link).where(link.c.hash == hashed, _usable(now)).values(used_at=now)
    row = connection.execute(used.returning(link.c.purpose, link.c.account_id, link.c.channel_id)).first()
    return Link._make(row) if row else None


def has_link_since(connection: Connection, made: Link, expires_after: int) -> bool:
    """Whether such a link was made that ends after that time, used or not."""
    query = select(link.c.hash).where(
        link.c.purpose == made.purpose,
        link.c.account_id.is_not_distinct_from(made.account_id),
        link.c.channel_id.is_not_distinct_from(made.channel_id),
        link.c.expires_at > expires_after,
    )
    return connection.execute(query.limit(1)).first() is not None


def count_links(connection: Connection, ending: str, expires_after: int) -> int:
    """How many links whose purpose ends so were made that end after that time, used or not."""
    query = select(func.count()).select_from(link)
    found = link.c.purpose.endswith(ending, autoescape=True) & (link.c.expires_at > expires_after)
    return connection.execute(query.where(found)).scalar_one()


def drop_links(connection: Connection, purpose: str) -> None:
    """Take the force of all links of a purpose."""
    connection.execute(delete(link).where(link.c.purpose == purpose))


def purge(connection: Connection, now: int) -> None:
    """Forget links and sessions that are over."""
    connection.execute(delete(link).where(link.c.expires_at < now))
    connection.execute(delete(session).where(session.c.expires_at < now))


def add_session(connection: Connection, hashed: str, account_id: int, now: int, expires_at: int) -> None:
    """Remember a session by the hash of its secret."""
    values = {"hash": hashed, "account_id": account_id, "created_at": now, "expires_at": expires_at}
    connection.execute(insert(session).values(values))


def session_account(connection: Connection, hashed: str, now: int) -> AccountView | None:
    """Whose session it is, while it lasts."""
    mine = (session.c.hash == hashed) & (session.c.expires_at > now)
    row = connection.execute(_VIEW.join(session, session.c.account_id == account.c.id).where(mine)).first()
    return AccountView._make(row) if row else None


def drop_session(connection: Connection, hashed: str) -> None:
    """End a session."""
    connection.execute(delete(session).where(session.c.hash == hashed))


def _usable(now: int) -> ColumnElement[bool]:
    return link.c.used_at.is_(None) & (link.c.expires_at > now)
