"""`tocsin doctor`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import click

from tocsin.cli.database import data_option

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
    yield Finding(is_well=True, text=f"settings: data in {settings.data}, at {settings.public_url}")
    from tocsin.cli.database import read

    now = time.time_ns() // 1000
    yield _attempt("plans", lambda: _plans(settings.plans))
    database = _attempt("database", lambda: read(settings, lambda _connection: "reachable, schema up to date"))
    yield database
    if database.is_well:
        from tocsin.store.condition import read_condition

        yield _attempt("secret key", lambda: _key(settings))
        yield from _engine(read(settings, lambda connection: read_condition(connection, now - WEEK)), now)
    yield _attempt("mail", lambda: _mail(settings))
