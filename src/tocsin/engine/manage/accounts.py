"""People: sign-up, one-time links, sessions."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from tocsin.domain.errors import Code, TocsinError
from tocsin.domain.monitor import SECOND
from tocsin.domain.project import Actor, Role
from tocsin.domain.record import AccountView, ProjectView
from tocsin.engine.manage.credentials import digest, new_secret
from tocsin.engine.manage.desk import not_found, sound
from tocsin.engine.manage.form import Form
from tocsin.engine.manage.issue import PLACEHOLDER, PROJECT
from tocsin.engine.manage.keys import Keys, add_key
from tocsin.engine.manage.links import (
    CONFIRM,
    RECOVER,
    SETUP,
    SIGN_IN,
    Letter,
    Links,
    purpose_of,
    subject_of,
    use_link,
)
from tocsin.engine.manage.projects import add_project
from tocsin.store import accounts, keys, projects
from tocsin.store.accounts import Link

SESSION_LASTS = 14 * 86_400 * SECOND


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made; `raw` is shown this once. `plan` is the plan's name."""

    raw: str
    plan: str
    monitor_limit: int


@dataclass(frozen=True, slots=True)
class Session:
    """A sign-in. `raw` belongs into a cookie; only its hash is stored."""

    raw: str
    account: AccountView
    expires_at: int


class Accounts(Keys, Links):
    """Use cases around accounts."""

    async def create_account(self, email: str, dialect: str, *, from_loopback: bool) -> NewKey:
        """Sign up through a dialect's API (rules.md, Plans and limits).

        FORBIDDEN where sign-up is closed; CONFLICT where this address has a project of this dialect, after
        a recovery link was mailed to it. The caller tells who carries a valid key by `authenticate`.
        """
        form = Form()
        address = form.address("email", email).lower()
        form.finish()
        now = self._now()

        def create(connection: Connection) -> tuple[NewKey | None, Letter | None]:
            return self._sign_up(connection, address, dialect, now, from_loopback=from_loopback)

        key, letter = await self._tools.store.write(create)
        self._post(letter)
        if key is None:
            raise TocsinError(
                Code.CONFLICT,
                "This address has an account already. A link to recover it was mailed there."
                if self._tools.mail
                else "This address has an account already. Whoever runs this server can make a key for it.",
            )
        return key

    async def setup_link(self) -> str | None:
        """The address of a one-time link that makes the first account, None where there is one already.
        Earlier links of this kind lose their force."""
        now = self._now()

        def make(connection: Connection) -> str | None:
            accounts.drop_links(connection, SETUP)
            if accounts.count(connection, without=PLACEHOLDER):
                return None
            return self._make_link(connection, Link(SETUP, None, None), now)

        return await self._tools.store.write(make)

    async def link_purpose(self, raw: str) -> str | None:
        """What an unused link is for, without using it: "setup", "sign-in", "recover", "confirm",
        "verify-channel"; None where it is unknown, used or too old. A page shows a button first,
        since mail scanners open every address. CONFLICT for a setup link that came too late."""
        now = self._now()

        def find(connection: Connection) -> str | None:
            found = accounts.find_link(connection, digest(raw), now)
            purpose = purpose_of(found) if found else None
            if purpose == SETUP:
                _refuse_second(connection)
            return purpose

        return await self._tools.store.read(find)

    async def set_up(self, raw: str, email: str) -> Session:
        """Use a setup link: make the first account and its project. NOT_FOUND for a link without force,
        CONFLICT where the first account was made another way meanwhile."""
        form = Form()
        address = form.address("email", email).lower()
        form.finish()
        now = self._now()

        def make(connection: Connection) -> Session:
            use_link(connection, raw, now, SETUP)
            _refuse_second(connection)
            account = _first_account(connection, address, now)
            if not projects.of_member(connection, account.id):
                plans = self._tools.plans
                add_project(connection, plans, name=PROJECT, dialect="tocsin", owner_id=account.id, now=now)
            return _open_session(connection, account, now)

        return await self._tools.store.write(make)

    async def send_sign_in_link(self, email: str) -> None:
        """Mail a sign-in link, if there is such an account; the same silence if not."""
        now = self._now()
        address = sound(email).strip().lower()

        def make(connection: Connection) -> Letter | None:
            account = accounts.find(connection, address)
            return self._letter(connection, account, SIGN_IN, now) if account else None

        self._post(await self._tools.store.write(make))

    async def sign_in(self, raw: str) -> Session:
        """Use a sign-in link. NOT_FOUND for a link without force."""
        now = self._now()

        def use(connection: Connection) -> Session:
            account = account_of(connection, use_link(connection, raw, now, SIGN_IN))
            accounts.verify(connection, account.id, now)
            return _open_session(connection, account, now)

        return await self._tools.store.write(use)

    async def recover(self, raw: str) -> NewKey:
        """Use a recovery link: a new key of the dialect it was asked through. Where nobody had confirmed the
        address until now, whoever made the project may have been a stranger: its other keys end. NOT_FOUND as
        above."""
        now = self._now()

        def use(connection: Connection) -> NewKey:
            link = use_link(connection, raw, now, RECOVER)
            account = account_of(connection, link)
            accounts.verify(connection, account.id, now)
            dialect = subject_of(link)
            project = projects.find(connection, owner_id=account.id, dialect=dialect)
            if project is None:
                raise not_found("project")
            if not projects.wants_alerts(connection, account.id, project.id):
                keys.revoke_all(connection, project.id, now)
                projects.want_alerts(connection, account.id, project.id)
            return self._new_key(connection, project, now, label="recovered")

        key = await self._tools.store.write(use)
        self._forget_keys()
        return key

    async def session_account(self, raw: str | None) -> AccountView | None:
        """Who a session's cookie belongs to; None where it is unknown or over."""
        if not raw:
            return None
        now = self._now()
        return await self._tools.store.read(
            lambda connection: accounts.session_account(connection, digest(raw), now), is_short=True
        )

    async def end_session(self, raw: str) -> None:
        """Sign out."""
        await self._tools.store.write(lambda connection: accounts.drop_session(connection, digest(raw)))

    async def projects_of(self, account_id: int) -> list[ProjectView]:
        """The projects in which a person has a role, oldest first."""
        mine = await self._tools.store.read(lambda connection: projects.of_member(connection, account_id))
        return [project for project, _ in mine]

    async def act_as(self, account: AccountView, project_uid: str) -> Actor:
        """The actor of a signed-in person, dialect "tocsin"; a viewer is read-only. NOT_FOUND."""
        mine = await self._tools.store.read(lambda connection: projects.of_member(connection, account.id))
        for project, role in mine:
            if project.uid == project_uid:
                plan = self._tools.plans.plan("tocsin", project.plan, project.dialect)
                is_viewer = role is Role.VIEWER
                return Actor(
                    project.id,
                    project.uid,
                    "tocsin",
                    plan,
                    None,
                    is_viewer,
                    project.owner_id,
                    project.owner_email,
                )
        raise not_found("project")

    async def check_owner(self, actor: Actor) -> None:
        """Refuse (FORBIDDEN) whoever acts for an account whose address nobody has confirmed, where anybody
        can sign up; for dialects that ask for it."""
        if not self._tools.signup_open:
            return
        owner = await self._tools.store.read(lambda connection: accounts.get(connection, actor.owner_id))
        if owner is None or owner.verified_at is None:
            raise TocsinError(
                Code.FORBIDDEN, "Confirm the account's mail address first: a link was mailed there."
            )

    def _sign_up(
        self, connection: Connection, address: str, dialect: str, now: int, *, from_loopback: bool
    ) -> tuple[NewKey | None, Letter | None]:
        is_first = from_loopback and accounts.count(connection) == 0
        if not (self._tools.signup_open or is_first):
            raise TocsinError(
                Code.FORBIDDEN, "Sign-up is closed on this server: ask whoever runs it for a key."
            )
        account = accounts.find(connection, address)
        if account and projects.find(connection, owner_id=account.id, dialect=dialect):
            return None, self._letter(connection, account, f"{RECOVER}:{dialect}", now)
        # Whoever types the first request on the machine itself is its owner; anybody else has to prove that
        # the address is theirs before alerts go there.
        if account is None:
            account = accounts.add(connection, address, now, verified_at=now if is_first else None)
        project = add_project(
            connection,
            self._tools.plans,
            name=PROJECT,
            dialect=dialect,
            owner_id=account.id,
            now=now,
            wants_alerts=is_first,
        )
        letter = None if is_first else self._letter(connection, account, f"{CONFIRM}:{project.id}", now)
        return self._new_key(connection, project, now, label="sign-up"), letter

    def _new_key(self, connection: Connection, project: ProjectView, now: int, *, label: str) -> NewKey:
        _, raw = add_key(connection, project.id, project.dialect, now, label=label)
        plan = self._tools.plans.plan(project.dialect, project.plan)
        return NewKey(raw, plan.name, plan.monitor_limit)

    def _letter(self, connection: Connection, account: AccountView, purpose: str, now: int) -> Letter | None:
        return self._write_letter(connection, account.email, Link(purpose, account.id, None), now)


def _refuse_second(connection: Connection) -> None:
    """A setup link makes the first account and no other: it stood on a screen, perhaps in a log."""
    if accounts.count(connection, without=PLACEHOLDER):
        raise TocsinError(
            Code.CONFLICT,
            "There is an account already, and this link makes only the first one. Sign in with its address,"
            " or run `tocsin sign-in-link` on the server.",
        )


def _first_account(connection: Connection, address: str, now: int) -> AccountView:
    """The account of whoever opens the setup link; what `tocsin key create` made before becomes theirs."""
    placeholder = accounts.find(connection, PLACEHOLDER)
    if placeholder is None:
        return accounts.add(connection, address, now, now)
    accounts.rename(connection, placeholder.id, address)
    projects.want_alerts(connection, placeholder.id)
    return placeholder._replace(email=address)


def account_of(connection: Connection, link: Link) -> AccountView:
    """The account that a link is about. NOT_FOUND."""
    account = accounts.get(connection, link.account_id) if link.account_id is not None else None
    if account is None:
        raise not_found("account")
    return account


def _open_session(connection: Connection, account: AccountView, now: int) -> Session:
    raw = new_secret()
    expires_at = now + SESSION_LASTS
    accounts.add_session(connection, digest(raw), account.id, now, expires_at)
    return Session(raw, account, expires_at)
