"""`tocsin monitor list|show`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tocsin.cli.database import data_option
from tocsin.cli.table import print_table
from tocsin.cli.times import show

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tocsin.domain.record import FlipView, Monitor, PingView

NEWEST = 10


@click.group("monitor")
def command() -> None:
    """List monitors and look at one, also while the server runs."""


@command.command("list")
@click.option("--project", metavar="NAME", help="Only this project's.")
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(["new", "up", "down", "paused", "late", "running", "snoozed"]),
    help="Only those; may be given several times.",
)
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="At most so many.")
@data_option
def list_monitors(project: str | None, statuses: tuple[str, ...], limit: int, data: Path | None) -> None:
    """Print monitors, newest first."""
    from tocsin.cli.database import read
    from tocsin.settings import load_settings
    from tocsin.store import monitors

    now = time.time_ns() // 1000

    def work(connection: Connection) -> list[tuple[Monitor, str]]:
        search = monitors.Search(statuses=frozenset(statuses), now=now)
        return monitors.of_all(connection, project, search, limit)

    rows = read(load_settings(data=data), work)
    print_table(
        ("ID", "NAME", "STATUS", "SCHEDULE", "LAST PING", "PROJECT"),
        [
            (
                monitor.uid,
                monitor.name,
                monitor.shown_status(now),
                f"{monitor.schedule_kind} {monitor.schedule_expression}",
                show(monitor.last_ping_at),
                name,
            )
            for monitor, name in rows
        ],
    )


@command.command("show")
@click.argument("monitor_id", metavar="ID")
@data_option
def show_monitor(monitor_id: str, data: Path | None) -> None:
    """Print a monitor (its ID, or the beginning of it), its last pings and its last changes of status."""
    from tocsin.cli.database import read
    from tocsin.settings import load_settings
    from tocsin.store import flips, monitors, pings

    def work(connection: Connection) -> tuple[Monitor, list[PingView], list[FlipView]]:
        found = monitors.find_by_beginning(connection, monitor_id.replace("-", "").lower())
        if len(found) != 1:
            count = "several monitors" if found else "no monitor"
            raise click.ClickException(f"there is {count} with an ID that begins with {monitor_id}")
        [monitor] = found
        last = pings.page(connection, monitor.last_ping_id, limit=NEWEST, steps=NEWEST)
        changes = flips.page(connection, monitor.project_id, monitor.id, limit=NEWEST, cursor=None)
        return monitor, last, changes

    monitor, last, changes = read(load_settings(data=data), work)
    _print_facts(monitor)
    _print_pings(last)
    _print_flips(changes)


def _print_facts(monitor: Monitor) -> None:
    now = time.time_ns() // 1000
    facts = {
        "id": monitor.uid,
        "name": monitor.name,
        "status": monitor.shown_status(now) + (", running" if monitor.is_running else ""),
        "since": show(monitor.since_at),
        "reason": monitor.reason or "-",
        "schedule": f"{monitor.schedule_kind} {monitor.schedule_expression} ({monitor.timezone})",
        "grace": f"{monitor.grace_seconds} s",
        "expected": show(monitor.due_at),
        "deadline": show(monitor.deadline_at),
        "last ping": show(monitor.last_ping_at),
        "pings": str(monitor.ping_count),
        "last alert": show(monitor.last_alert_at),
        "snoozed": show(monitor.snoozed_until) if monitor.is_snoozed(now) else "-",
        "tags": monitor.tag_text or "-",
        "made": f"{show(monitor.created_at)} through {monitor.dialect}",
    }
    for name, value in facts.items():
        click.echo(f"{name:<11}{value}")


def _print_pings(pings: list[PingView]) -> None:
    from tocsin.domain.ping import Kind, word

    if not pings:
        return
    click.echo("")
    rows = [
        (
            show(ping.arrived_at),
            word(Kind(ping.kind)),
            "-" if ping.exit_code is None else str(ping.exit_code),
            "-" if ping.duration_ms is None else f"{ping.duration_ms} ms",
            ping.address or "-",
        )
        for ping in pings
    ]
    print_table(("PING", "KIND", "EXIT", "TOOK", "FROM"), rows)


def _print_flips(flips: list[FlipView]) -> None:
    if not flips:
        return
    click.echo("")
    rows = [(show(flip.at), f"{flip.old} to {flip.new}", flip.reason) for flip in flips]
    print_table(("CHANGE", "STATUS", "REASON"), rows)
