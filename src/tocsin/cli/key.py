"""`tocsin key create|list|revoke`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from tocsin.cli.database import data_option
from tocsin.cli.table import print_table
from tocsin.cli.times import When, show


@click.group("key")
def command() -> None:
    """Make, list and revoke API keys, also while the server runs."""


@command.command("create")
@click.option(
    "--dialect", required=True, metavar="D", help="Whose API the key is for; tocsin is the native one."
)
@click.option("--project", metavar="NAME", help="The project; made where it is missing. [default]")
@click.option("--email", metavar="E", help="Its owner; the account is made where it is missing.")
@click.option("--plan", metavar="P", help="The project's plan from now on (TOCSIN_PLANS).")
@click.option("--label", default="", help="What the key is for.")
@click.option("--read-only", is_flag=True, help="The key may look at everything and change nothing.")
@click.option("--expires", type=When(), help="A date, a time (RFC 3339) or a duration such as 30d.")
@data_option
def create(data: Path | None, expires: int | None, **wish: Any) -> None:
    """Print a new key, alone, on standard output. It is shown this once."""
    from tocsin.cli.database import make_if_missing, write
    from tocsin.engine.manage.issue import KeyWish, issue_key
    from tocsin.engine.plans import load_plans
    from tocsin.settings import load_settings

    settings = load_settings(data=data)
    _refuse_unspoken(wish["dialect"])
    plans = load_plans(settings.plans)
    make_if_missing(settings)
    wanted = KeyWish(**wish, expires_at=expires)
    click.echo(write(settings, lambda connection: issue_key(connection, plans, wanted, _now())))


@command.command("list")
@data_option
def show_all(data: Path | None) -> None:
    """Print all keys that are not revoked, oldest first."""
    from tocsin.cli.database import read
    from tocsin.settings import load_settings
    from tocsin.store import keys

    rows = read(load_settings(data=data), keys.all_with_project)
    head = ("ID", "KEY", "DIALECT", "PROJECT", "ACCESS", "EXPIRES", "LAST USED", "LABEL")
    print_table(
        head,
        [
            (
                key.uid,
                key.prefix + "…",
                key.dialect,
                project,
                "read" if key.read_only else "write",
                show(key.expires_at),
                show(key.last_used_at),
                key.label,
            )
            for key, project in rows
        ],
    )


@command.command("revoke")
@click.argument("key_id", metavar="ID")
@data_option
def revoke(key_id: str, data: Path | None) -> None:
    """End the key with this ID (of `tocsin key list`); a running server refuses it within a second."""
    from tocsin.cli.database import write
    from tocsin.settings import load_settings
    from tocsin.store import keys

    ended = write(load_settings(data=data), lambda connection: keys.revoke(connection, key_id, _now()))
    if ended is None:
        raise click.ClickException(f"there is no key {key_id}, or it is revoked already")
    click.echo(f"revoked {ended.prefix}…")


def _refuse_unspoken(name: str) -> None:
    """A key of a dialect that the server does not speak would open nothing."""
    from tocsin.web.dialect import discover

    spoken = [dialect.name for dialect in discover()]
    if name not in spoken:
        raise click.ClickException(f"this server does not speak {name:.40}, only: {', '.join(spoken)}")


def _now() -> int:
    return time.time_ns() // 1000
