"""What a dialect is built with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from starlette.requests import Request

from tocsin.engine.manage import Manage
from tocsin.web.address import Network, client_address, is_from_this_machine, network_of
from tocsin.web.billing import Billing, BillingConfig
from tocsin.web.rate import Rates


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that the faces share; made once, in app.py.

    `now` is microseconds UTC. The addresses end without a slash; `ping_url` is None where pings have no host
    of their own.
    """

    manage: Manage
    now: Callable[[], int]
    version: str
    public_url: str
    ping_url: str | None = None
    trusted_proxies: Sequence[Network] = ()
    rates: Rates = field(default_factory=Rates)
    billing: Billing = field(default_factory=lambda: Billing(BillingConfig()))

    def sender(self, request: Request) -> str:
        """Who asks, behind trusted proxies, as limits count it: the address, or its network (address.py)."""
        forwarded_for = ",".join(request.headers.getlist("x-forwarded-for"))
        return network_of(client_address(_peer(request), forwarded_for, self.trusted_proxies))

    def is_local(self, request: Request) -> bool:
        """Whether somebody on this very machine asks, by hand."""
        return is_from_this_machine(_peer(request), request.headers)


def _peer(request: Request) -> str:
    # A Unix socket has no address.
    return request.client.host if request.client else ""
