"""Alerts and senders for the tests of channels."""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from tests.receivers import HttpReceiver
from tocsin.channels import SmtpConfig, Tools, load_senders
from tocsin.domain.alert import Event, Facts, PingLine, Subject
from tocsin.domain.channel import Sender
from tocsin.domain.monitor import SECOND
from tocsin.outbound import Outbound

AT = 1_774_663_200 * SECOND  # 2026-03-28 02:00:00 UTC
PUBLIC_URL = "https://tocsin.test"

DOWN = Facts(
    id="0f3a",
    event=Event.DOWN,
    at=AT,
    message="Nightly backup has not been heard from since 2026-03-27 01:00 UTC; it was due by 02:00 UTC.",
    reason="missed",
    monitor=Subject(
        "4c5d", "Nightly backup", "nightly-backup", ("db", "prod"), "down", f"{PUBLIC_URL}/monitors/4c5d"
    ),
    previous_status="up",
    since_at=AT,
    last_ping_at=AT - 25 * 3600 * SECOND,
    deadline_at=AT,
    pings=(PingLine(AT - 25 * 3600 * SECOND, "success", 0, 4523), PingLine(AT - 26 * 3600 * SECOND, "start")),
)
UP = replace(
    DOWN,
    id="0f3b",
    event=Event.UP,
    at=AT + 600 * SECOND,
    message="Nightly backup is up again after 10 minutes.",
    reason="ping",
    previous_status="down",
    deadline_at=None,
)
AWAY = Facts(
    id="0f3c",
    event=Event.AWAY,
    at=AT,
    message="Tocsin was away from 01:00 UTC to 02:00 UTC.",
    lines=("Nightly backup", "Invoices"),
)
TEST = Facts(id="0f3d", event=Event.TEST, at=AT, message="This is a test.")


def named(name: str, facts: Facts = DOWN) -> Facts:
    """An alert about a monitor with this name, which its message repeats."""
    assert facts.monitor
    return replace(facts, monitor=replace(facts.monitor, name=name), message=f"{name} is late.")


def flood(count: int) -> list[Facts]:
    """Downs of `count` monitors."""
    return [
        replace(named(f"Job {number}"), id=f"id{number}", monitor=replace(DOWN.monitor, id=f"m{number}"))
        for number in range(count)
        if DOWN.monitor
    ]


def make_senders(
    outbound: Outbound,
    *,
    smtp: SmtpConfig | None = None,
    telegram_api_base: str = "https://api.telegram.org",
    pagerduty_api_base: str = "https://events.pagerduty.com",
    telegram_bot_token: str | None = None,
    formats: Mapping[str, Any] | None = None,
) -> dict[str, Sender]:
    """All kinds of channels, as app.py makes them."""
    return load_senders(
        Tools(
            outbound=outbound,
            smtp=smtp,
            mail_from="Tocsin <tocsin@tocsin.test>",
            telegram_api_base=telegram_api_base,
            public_url=PUBLIC_URL,
            formats=formats or {},
            telegram_bot_token=telegram_bot_token,
            pagerduty_api_base=pagerduty_api_base,
        )
    )


def http_target(kind: str, outbound: Outbound, url: str) -> tuple[Sender, dict[str, Any]]:
    """A sender and a config whose messages arrive at `url`, with secrets that can be looked for."""
    senders = make_senders(outbound, telegram_api_base=url, pagerduty_api_base=url)
    config = {
        "webhook": {"url": f"{url}/hook/T0PSECRET?key=T0PSECRET", "secret": "T0PSECRET"},
        "slack": {"webhook_url": f"{url}/services/T00/B00/T0PSECRET"},
        "discord": {"webhook_url": f"{url}/api/webhooks/1/T0PSECRET"},
        "telegram": {"bot_token": "123456:T0PSECRET", "chat_id": "-100200"},
        "pagerduty": {"routing_key": "T0PSECRET".ljust(32, "0")},
    }[kind]
    return senders[kind], senders[kind].check(config)


async def deliver(kind: str, outbound: Outbound, *alerts: Facts) -> Any:
    """Send to a receiver that takes it; the JSON that arrived."""
    with HttpReceiver() as receiver:
        sender, config = http_target(kind, outbound, receiver.url)
        receipt = await sender.send(config, alerts)
        assert receipt.outcome == "delivered", receipt
        [request] = receiver.requests
        return request.json()
