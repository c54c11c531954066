"""`tocsin doctor`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from tocsin.cli.database import data_option

if TYPE_CHECKING:
    from tocsin.channels import SmtpConfig
    from tocsin.settings import Settings
    from tocsin.store.condition import Condition

SECOND = 1_000_000
WEEK = 7 * 86_400 * SECOND
ALIVE = 5 * SECOND
LARGEST_LAG = 10 * SECOND
CLOCK_STEP = 60 * SECOND
MAIL_SECONDS = 10.0


class Finding(NamedTuple):
    """One line of the report."""

    is_well: bool
    text: str


@click.command("doctor")
@data_option
def command(data: Path | None) -> None:
    """Look at settings, database, mail, clock, lag and dead letters; status 1 if something is wrong."""
    findings = []
    for finding in examine(data):
        findings.append(finding)
        click.echo(f"{'ok   ' if finding.is_well else 'WRONG'}  {finding.text}")
    if not all(finding.is_well for finding in findings):
        raise click.exceptions.Exit(1)


def examine(data: Path | None) -> Iterator[Finding]:
    """Look at one part after another; later ones are left out where an earlier one must work for them."""
    from tocsin.settings import SettingsError, load_settings

    try:
        settings = load_settings(data=data)
    except SettingsError as error:
        yield Finding(is_well=False, text=f"settings: {error}")
        return
    # The address that follows from host and port is a guess: the server may have got others as options.
    address = f", at {settings.public_url}" if "public_url" in settings.model_fields_set else ""
    yield Finding(is_well=True, text=f"settings: data in {settings.data}{address}")
    from tocsin.cli.database import read

    now = time.time_ns() // 1000
    yield _attempt("plans", lambda: _plans(settings.plans))
    database = _attempt(
        "database", lambda: read(settings, lambda _connection: "reachable, schema up to date")
    )
    yield database
    if database.is_well:
        from tocsin.store.condition import read_condition

        yield _attempt("secret key", lambda: _key(settings))
        yield from _engine(read(settings, lambda connection: read_condition(connection, now - WEEK)), now)
    yield _attempt("mail", lambda: _mail(settings))


def _attempt(name: str, look: Callable[[], str]) -> Finding:
    """A finding out of a look that tells what it saw, or raises what is wrong."""
    from tocsin.cli import describe

    try:
        return Finding(is_well=True, text=f"{name}: {look()}")
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
        return Finding(is_well=False, text=f"{name}: {describe(error)}")


def _plans(setting: str) -> str:
    from tocsin.engine.plans import load_plans

    load_plans(setting)
    return setting


def _key(settings: Settings) -> str:
    from tocsin.cli.database import read
    from tocsin.cli.secret import find_vault
    from tocsin.store.vault import try_canary

    vault = find_vault(settings)
    if vault is None:
        return "none yet, `tocsin serve` makes it"
    read(settings, lambda connection: try_canary(connection, vault))
    return "fits"


def _engine(condition: Condition, now: int) -> Iterator[Finding]:
    """What the server left in the database says about it."""
    from tocsin.cli.times import show

    mark_at = condition.mark_at
    if mark_at is None:
        yield Finding(is_well=True, text="server: has not run yet")
        return
    yield Finding(
        is_well=mark_at <= now + CLOCK_STEP,
        text=f"clock: {show(now)}, the server's last sign of life was at {show(mark_at)}",
    )
    is_alive = now - mark_at < ALIVE
    yield Finding(
        is_well=is_alive, text="server: running" if is_alive else f"server: silent since {show(mark_at)}"
    )
    behind = max(0, now - (condition.look_at or now))
    yield Finding(
        is_well=behind <= LARGEST_LAG,
        text=f"lag: the oldest undecided deadline passed {behind // SECOND} s ago"
        if behind
        else "lag: none, every deadline that passed is decided",
    )
    yield Finding(
        is_well=not condition.dead_letters,
        text=f"dead letters: {condition.dead_letters} alerts could not be delivered in the last 7 days",
    )


def _mail(settings: Settings) -> str:
    if settings.smtp_url is None:
        return "TOCSIN_SMTP_URL is not set, no mail is sent"
    from tocsin.channels import SmtpConfig

    config = SmtpConfig.from_url(settings.smtp_url.get_secret_value(), MAIL_SECONDS)
    asyncio.run(_greet(config))
    return f"{config.host}:{config.port} answers{' and lets us in' if config.username else ''}"


async def _greet(config: SmtpConfig) -> None:
    """Connect, log in where a user is set, and leave."""
    import aiosmtplib

    connection = aiosmtplib.SMTP(
        hostname=config.host,
        port=config.port,
        username=config.username,
        password=config.password,
        use_tls=config.implicit_tls,
        start_tls=False if config.implicit_tls else None,
        timeout=config.timeout_seconds,
    )
    async with connection:
        await connection.noop()
