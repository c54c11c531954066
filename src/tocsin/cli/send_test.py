"""`tocsin send-test`."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tocsin.cli.database import data_option
from tocsin.cli.table import print_table

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tocsin.domain.channel import Receipt
    from tocsin.settings import Settings
    from tocsin.store.channels import ChannelRow


@click.command("send-test")
@click.argument("channel_id", metavar="[CHANNEL]", required=False)
@click.option("--mail", metavar="ADDRESS", help="Send a test mail there instead.")
@data_option
def command(channel_id: str | None, mail: str | None, data: Path | None) -> None:
    """Send a test through a channel (its ID; without one, channels are listed) and say what came back."""
    from tocsin.cli.database import read
    from tocsin.settings import load_settings
    from tocsin.store import channels

    settings = load_settings(data=data)
    if mail is not None:
        _send(settings, "email", {"to": [mail]}, f"mail to {mail}")
        return

    def work(connection: Connection) -> list[ChannelRow]:
        return channels.of_all(connection)

    rows = read(settings, work)
    if channel_id is None:
        print_table(("ID", "KIND", "LABEL"), [(row.uid, row.kind, row.label) for row in rows])
        return
    row = next((row for row in rows if row.uid == channel_id), None)
    if row is None:
        raise click.ClickException(f"there is no channel {channel_id}: `tocsin send-test` lists them")
    _send(settings, row.kind, _open(settings, row), f'the channel "{row.label}"')


def _open(settings: Settings, row: ChannelRow) -> dict[str, Any]:
    from tocsin.cli.secret import find_vault
    from tocsin.store.vault import VaultError

    vault = find_vault(settings)
    if vault is None:
        raise click.ClickException("there is no encryption key in the data folder: is it the server's?")
    try:
        return vault.open(row.config)
    except VaultError as error:
        raise click.ClickException(
            f"{error}: TOCSIN_SECRET_KEY (or secret.key in the data folder) is not the server's"
        ) from None


def _send(settings: Settings, kind: str, config: Mapping[str, Any], name: str) -> None:
    from tocsin.domain.channel import Outcome

    receipt = asyncio.run(_attempt(settings, kind, config, name))
    if receipt.outcome is not Outcome.DELIVERED:
        raise click.ClickException(f"{name}: {receipt.detail}")
    click.echo(f"delivered to {name}: {receipt.detail}")


async def _attempt(settings: Settings, kind: str, config: Mapping[str, Any], name: str) -> Receipt:
    from tocsin.channels import SmtpConfig, Tools, load_senders
    from tocsin.domain.alert import Event, Facts
    from tocsin.outbound import Outbound

    outbound = Outbound(settings.allowed_networks, settings.http_timeout_seconds)
    smtp, bot = settings.smtp_url, settings.telegram_bot_token
    tools = Tools(
        outbound,
        SmtpConfig.from_url(smtp.get_secret_value(), settings.smtp_timeout_seconds) if smtp else None,
        settings.mail_from,
        settings.telegram_api_base,
        settings.public_url or "",
        telegram_bot_token=bot.get_secret_value() if bot else None,
        pagerduty_api_base=settings.pagerduty_api_base,
    )
    message = f"This is a test of {name}. Alerts will arrive like this."
    facts = Facts(id=uuid.uuid4().hex, event=Event.TEST, at=time.time_ns() // 1000, message=message)
    try:
        sender = load_senders(tools)[kind]
        return await sender.send(sender.check(config), [facts])
    finally:
        await outbound.close()
