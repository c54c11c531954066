"""`tocsin sign-in-link`."""

from __future__ import annotations

import time
from pathlib import Path

import click

from tocsin.cli.database import data_option


@click.command("sign-in-link")
@click.argument("email")
@data_option
def command(email: str, data: Path | None) -> None:
    """Print a link by which the account with this address signs in, once, within 30 minutes."""
    from tocsin.cli.database import write
    from tocsin.engine.manage.issue import issue_sign_in_link
    from tocsin.settings import load_settings

    settings = load_settings(data=data)
    now = time.time_ns() // 1000
    path = write(settings, lambda connection: issue_sign_in_link(connection, email, now))
    click.echo(f"{settings.public_url}{path}")
