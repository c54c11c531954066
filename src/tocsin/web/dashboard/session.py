"""The cookie of a person who signed in, and what a form sent."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tocsin.domain.errors import Code, TocsinError
from tocsin.domain.record import AccountView
from tocsin.engine.manage.accounts import Session
from tocsin.web.security import is_own_form
from tocsin.web.services import Services

SECOND = 1_000_000
_BACK = "tocsin-back"
_MONITOR_PAGE = re.compile(r"/monitors/[0-9a-f]{32}")


def cookie_name(services: Services) -> str:
    """With TLS the browser itself refuses to take the cookie from any other host or path."""
    return "__Host-tocsin" if _is_secure(services) else "tocsin"


async def who(request: Request, services: Services) -> AccountView | None:
    """The person behind the request's cookie."""
    return await services.manage.session_account(request.cookies.get(cookie_name(services)))


def remember(response: Response, session: Session, services: Services) -> None:
    """Set the cookie of a new session."""
    response.set_cookie(
        cookie_name(services),
        session.raw,
        max_age=(session.expires_at - services.now()) // SECOND,
        path="/",
        secure=_is_secure(services),
        httponly=True,
        samesite="lax",
    )


def forget(response: Response, services: Services) -> None:
    """Take the cookie away."""
    response.delete_cookie(
        cookie_name(services), path="/", secure=_is_secure(services), httponly=True, samesite="lax"
    )


def come_back(response: Response, path: str, services: Services) -> None:
    """Have the sign-in that follows lead to this page of ours."""
    response.set_cookie(
        _BACK, path, max_age=1800, path="/", secure=_is_secure(services), httponly=True, samesite="lax"
    )


def redirect_back(request: Request) -> Response:
    """Where a sign-in leads: to the monitor that was asked for, else to the list. Nowhere else, whatever the
    cookie says."""
    path = request.cookies.get(_BACK, "")
    if not _MONITOR_PAGE.fullmatch(path):
        return RedirectResponse("/", 303)
    response = RedirectResponse(path, 303)
    response.delete_cookie(_BACK, path="/")
    return response


async def form(request: Request, services: Services) -> dict[str, str]:
    """The fields of a form of ours. Raises TocsinError(FORBIDDEN) for a form on somebody else's page."""
    if not is_own_form(request.headers, services.public_url):
        raise TocsinError(Code.FORBIDDEN, "This form was not sent from a page of this server.")
    body = (await request.body()).decode("utf-8", "replace")
    return dict(parse_qsl(body, keep_blank_values=True)) if len(body) < 10_000 else {}


def _is_secure(services: Services) -> bool:
    return services.public_url.startswith("https://")
