"""The views: sign-in by a one-time link, the list of monitors, one monitor, and a first key."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from tocsin.domain.errors import Code, TocsinError
from tocsin.domain.ping import Kind, word
from tocsin.domain.project import Actor
from tocsin.domain.record import AccountView, Monitor, PingView, ProjectView
from tocsin.engine.manage.monitors import MonitorQuery, MonitorRef
from tocsin.web.badges import badge_route
from tocsin.web.dashboard.session import come_back, cookie_name, forget, form, redirect_back, remember, who
from tocsin.web.dashboard.words import distance, schedule_words
from tocsin.web.dialect import discover, ping_address
from tocsin.web.pages import page
from tocsin.web.services import Services
from tocsin.web.times import iso_or_none
from tocsin.web.trouble import BROKEN, NO_FIELDS, STATUSES, Trouble, TroubleError, too_often, trouble_of

_STATIC = {"tocsin.css": "text/css", "tocsin.svg": "image/svg+xml"}
_LINKS_PER_MINUTE, _LINKS_PER_DAY = 5, 100  # sign-in links that one address may ask for
_NO_LINK = "This link was used already, or is older than 30 minutes."


def build_dashboard(services: Services) -> ASGIApp:
    """The application that has every path which is no API's."""
    views = _Views(services)
    app = Starlette(
        routes=[
            Route("/", views.home),
            Route("/sign-in", views.ask_for_link, methods=["GET"]),
            Route("/sign-in", views.send_link, methods=["POST"]),
            Route("/sign-out", views.sign_out, methods=["POST"]),
            Route("/link/{raw}", views.show_link, methods=["GET"]),
            Route("/link/{raw}", views.use_link, methods=["POST"]),
            Route("/monitors/{uid}", views.monitor),
            Route("/projects/{uid}/keys", views.make_key, methods=["POST"]),
            Route("/static/{name}", _static),
            badge_route(services, discover()),
        ],
        exception_handlers={
            TocsinError: _refused,
            TroubleError: _refused,
            HTTPException: _refused,
            Exception: _refused,
        },
    )
    app.router.redirect_slashes = False
    return app


class _Views:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._manage = services.manage

    async def home(self, request: Request) -> Response:
        """The monitors of one's project; for others, what this is."""
        account = await who(request, self._services)
        if account is None:
            return page("welcome.html")
        return await self._monitors(request, account)

    async def ask_for_link(self, request: Request) -> Response:
        """A form for one's address."""
        token = request.query_params.get("token")
        return RedirectResponse(f"/link/{token}", 303) if token else page("sign-in.html", is_sent=False)

    async def send_link(self, request: Request) -> Response:
        """Mail a link, and say the same whether there is such an account or not."""
        fields = await form(request, self._services)
        caller = f"link:{self._services.sender(request)}"
        standing = self._services.rates.count(
            caller, self._services.now(), per_minute=_LINKS_PER_MINUTE, per_day=_LINKS_PER_DAY
        )
        if standing.exceeded:
            raise TroubleError(too_often(standing.exceeded))
        await self._manage.send_sign_in_link(fields.get("email", ""))
        return page("sign-in.html", is_sent=True)

    async def sign_out(self, request: Request) -> Response:
        """End the session, here and in the database."""
        await form(request, self._services)
        raw = request.cookies.get(cookie_name(self._services))
        if raw:
            await self._manage.end_session(raw)
        response = RedirectResponse("/", 303)
        forget(response, self._services)
        return response

    async def show_link(self, request: Request) -> Response:
        """What a link is for, and a button: mail scanners open addresses, but press no buttons."""
        purpose = await self._manage.link_purpose(request.path_params["raw"])
        if purpose is None:
            raise TocsinError(Code.NOT_FOUND, _NO_LINK)
        return page("link.html", purpose=purpose)

    async def use_link(self, request: Request) -> Response:
        """Do what the link is for."""
        fields, raw = await form(request, self._services), request.path_params["raw"]
        match await self._manage.link_purpose(raw):
            case "setup":
                session = await self._manage.set_up(raw, fields.get("email", ""))
            case "sign-in":
                session = await self._manage.sign_in(raw)
            case "recover":
                return page("done.html", key=(await self._manage.recover(raw)).raw)
            case "confirm" | "verify-channel":
                await self._manage.confirm(raw)
                return page("done.html", key=None)
            case _:
                raise TocsinError(Code.NOT_FOUND, _NO_LINK)
        response = redirect_back(request)
        remember(response, session, self._services)
        return response

    async def make_key(self, request: Request) -> Response:
        """A first key, to try the API with; its raw text is on this one page."""
        await form(request, self._services)
        account = await self._signed_in(request)
        actor = await self._manage.act_as(account, request.path_params["uid"])
        _, raw = await self._manage.create_key(actor, label="made on the dashboard")
        return await self._monitors(request, account, actor.project_uid, raw)

    async def monitor(self, request: Request) -> Response:
        """One monitor with its last pings and flips: where an alert's link leads."""
        account = await who(request, self._services)
        if account is None:
            response = RedirectResponse("/sign-in", 303)
            come_back(response, request.url.path, self._services)
            return response
        actor, monitor = await self._find(account, MonitorRef.of_uid(request.path_params["uid"]))
        pings = await self._manage.pings(actor, monitor.id, limit=20)
        flips = await self._manage.flips(actor, monitor.id, limit=20)
        now = self._services.now()
        return page(
            "monitor.html",
            account=account,
            monitor=self._row(monitor, now),
            ping_url=None if actor.read_only else ping_address(self._services, monitor),
            pings=[_ping_row(each, now) for each in pings.items],
            flips=[
                {
                    "at": iso_or_none(each.at),
                    "ago": distance(each.at, now),
                    "old": each.old,
                    "new": each.new,
                    "reason": each.reason,
                }
                for each in flips.items
            ],
        )

    async def _monitors(
        self, request: Request, account: AccountView, project_uid: str = "", key: str | None = None
    ) -> Response:
        projects = await self._manage.projects_of(account.id)
        if not projects:
            raise TocsinError(Code.NOT_FOUND, "You are a member of no project.")
        project = _chosen(projects, project_uid or request.query_params.get("project", ""))
        actor = await self._manage.act_as(account, project.uid)
        cursor = request.query_params.get("cursor", "")
        query = MonitorQuery(
            limit=100, cursor=int(cursor) if cursor.isdecimal() and len(cursor) < 19 else None
        )
        found = await self._manage.monitors(actor, query)
        down = [] if cursor else await self._down(actor)
        first = {one.id for one in down}
        now = self._services.now()
        return page(
            "monitors.html",
            account=account,
            projects=projects,
            project=project,
            monitors=[
                self._row(each, now) for each in (*down, *(one for one in found.items if one.id not in first))
            ],
            total=found.total,
            next_cursor=found.next_cursor,
            public_url=self._services.public_url,
            key=key,
        )

    async def _down(self, actor: Actor) -> list[Monitor]:
        """What is wrong now: shown before everything else."""
        query = MonitorQuery(statuses=frozenset({"down"}), limit=100, with_total=False)
        return (await self._manage.monitors(actor, query)).items

    async def _signed_in(self, request: Request) -> AccountView:
        account = await who(request, self._services)
        if account is None:
            raise TocsinError(Code.FORBIDDEN, "Sign in first.")
        return account

    async def _find(self, account: AccountView, ref: MonitorRef) -> tuple[Actor, Monitor]:
        for project in await self._manage.projects_of(account.id):
            actor = await self._manage.act_as(account, project.uid)
            try:
                return actor, await self._manage.monitor(actor, ref)
            except TocsinError as error:
                if error.code is not Code.NOT_FOUND:
                    raise
        raise TocsinError(Code.NOT_FOUND, "There is no such monitor.")

    def _row(self, monitor: Monitor, now: int) -> dict[str, Any]:
        return {
            "uid": monitor.uid,
            "name": monitor.name,
            "status": monitor.shown_status(now),
            "is_running": monitor.is_running,
            "schedule": schedule_words(monitor),
            "last_ping_at": iso_or_none(monitor.last_ping_at),
            "last_ping": distance(monitor.last_ping_at, now),
            "due_at": iso_or_none(monitor.due_at),
            "due": distance(monitor.due_at, now),
        }


def _chosen(projects: list[ProjectView], uid: str) -> ProjectView:
    return next((project for project in projects if project.uid == uid), projects[0])


def _ping_row(ping: PingView, now: int) -> dict[str, Any]:
    return {
        "at": iso_or_none(ping.arrived_at),
        "ago": distance(ping.arrived_at, now),
        "kind": word(Kind(ping.kind)),
        "exit_code": ping.exit_code,
        "duration_ms": ping.duration_ms,
    }


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _STATIC:
        raise HTTPException(404)
    content = files("tocsin.web.dashboard").joinpath("static", name).read_bytes()
    return Response(content, media_type=_STATIC[name], headers={"Cache-Control": "public, max-age=3600"})


async def _refused(_: Request, error: Exception) -> Response:
    """Any error as a page."""
    match error:
        case TocsinError():
            trouble = trouble_of(error, STATUSES, NO_FIELDS)
        case TroubleError():
            trouble = error.trouble
        case HTTPException():
            trouble = Trouble(error.status_code, "There is nothing at this address.")
        case _:
            trouble = BROKEN
    return page("error.html", trouble.status, trouble.headers(), text=trouble.message)
