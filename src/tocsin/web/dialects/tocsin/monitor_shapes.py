"""A monitor as the native API writes and reads it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from tocsin.domain.ping import Kind, word
from tocsin.domain.record import ChannelView, Monitor, Targets
from tocsin.web.dialects.tocsin.shapes import (
    Cursor,
    Given,
    PageQuery,
    PingKind,
    Problem,
    ScheduleKind,
    Seconds,
    Taken,
    Time,
    Uid,
)
from tocsin.web.times import iso_kept, iso_or_none

Tag = Annotated[str, Field(min_length=1, max_length=50, pattern=r"^\S+$")]
ShownStatus = Literal["new", "up", "late", "down", "paused"]
Wanted = Literal["new", "up", "late", "down", "paused", "running", "snoozed"]
KIND_WORDS = tuple(word(kind) for kind in Kind)


class MonitorChanges(Taken):
    """What may be changed of a monitor; what is not sent stays."""

    name: str = Field(default="", min_length=1, max_length=200)
    slug: str | None = Field(default=None, pattern="^[a-z0-9]+([-_.][a-z0-9]+)*$", max_length=100)
    description: str = Field(default="", max_length=2_000)
    tags: list[Tag] = Field(default=[], max_length=20)
    schedule_kind: ScheduleKind = "interval"
    schedule_expression: str = Field(
        default="3600",
        max_length=120,
        description="Whole seconds (interval), five cron fields or an @name (cron), or words (simple).",
        examples=["3600", "0 3 * * *", "daily at 03:00"],
    )
    timezone: str = Field(default="UTC", max_length=64, examples=["Europe/Berlin"])
    grace_seconds: int = Field(default=300, ge=0, le=31_622_400)
    longest_run_seconds: Seconds | None = None
    shortest_run_seconds: Seconds | None = None
    failures_before_alert: int = Field(default=1, ge=1, le=1_000)
    successes_before_recovery: int = Field(default=1, ge=1, le=1_000)
    reminder_seconds: Seconds | None = None
    channel_ids: list[str] = Field(default=[], max_length=100, description="Ids of channels.")
    fan_out: bool = Field(default=True, description="Without channel_ids: tell every verified channel.")
    mail: str = Field(default="members", description='"none", "members" or a mail address.')
    webhook_url: str | None = Field(
        default=None, max_length=2_000, description="The masked form that is read leaves it as it is."
    )
    webhook_format: str = "house"
    webhook_secret: str | None = None
    unique_key: str | None = Field(default=None, max_length=200)


class NewMonitor(MonitorChanges):
    """A monitor to make; only its name is needed."""

    name: str = Field(min_length=1, max_length=200)


class NewMonitors(Taken):
    """Up to 1,000 monitors to make at once."""

    monitors: list[NewMonitor] = Field(min_length=1, max_length=1_000)


class MonitorItem(Given):
    """A monitor as a list shows it."""

    id: Uid
    name: str
    slug: str
    description: str
    tags: list[str]
    status: ShownStatus
    is_running: bool
    reason: str | None = Field(description="Why it has its status: missed, failed, overran, ping, …")
    since_at: Time
    schedule_kind: ScheduleKind
    schedule_expression: str
    timezone: str
    grace_seconds: int
    longest_run_seconds: int | None
    shortest_run_seconds: int | None
    failures_before_alert: int
    successes_before_recovery: int
    reminder_seconds: int | None
    channel_ids: list[Uid]
    fan_out: bool
    unique_key: str | None
    made_by: str = Field(description="The dialect that made it.")
    ping_url: str | None = Field(description="A credential: null for a read-only key.")
    badge_url: str = Field(description="An SVG of its status, for everybody who knows this address.")
    last_ping_at: Time | None
    last_ping_kind: PingKind | None
    last_success_at: Time | None
    last_duration_ms: int | None
    next_expected_at: Time | None
    deadline_at: Time | None = Field(
        description="The end of the grace period, when silence becomes an alert."
    )
    ping_count: int
    last_alert_at: Time | None
    snoozed_until: Time | None
    created_at: Time
    updated_at: Time


class MonitorDetail(MonitorItem):
    """A monitor, with its own mail and webhook."""

    mail: str
    webhook_url: str | None = Field(description="What follows the host is masked.")
    webhook_format: str
    webhook_has_secret: bool


class MonitorPage(Given):
    """Monitors, newest first."""

    monitors: list[MonitorItem]
    total: int | None
    next_cursor: Cursor


class MonitorQuery(PageQuery):
    """Which monitors."""

    text: str = Field(default="", max_length=200, description="A part of the name, in any case.")
    status: list[Wanted] = Field(default=[], description="Any of these; may be repeated.")
    tag: list[str] = Field(default=[], description="All of these; may be repeated.")


class BulkResult(BaseModel):
    """What became of one monitor: itself, or why it was refused."""

    monitor: MonitorItem | None
    error: Problem | None


class BulkResults(Given):
    """In the order in which they were sent."""

    results: list[BulkResult]
    created: int
    refused: int


class Snooze(Taken):
    """Until when alerts are held back: one of the two."""

    until_at: Time | None = None
    seconds: Seconds | None = None


def item(
    monitor: Monitor, channels: Sequence[ChannelView], ping_url: str | None, badge_url: str, now: int
) -> dict[str, Any]:
    """A MonitorItem; without `ping_url` for a read-only key."""
    return {
        "id": monitor.uid,
        "name": monitor.name,
        "slug": monitor.slug,
        "description": monitor.description,
        "tags": monitor.tags,
        "status": monitor.shown_status(now),
        "is_running": monitor.is_running,
        "reason": monitor.reason,
        "since_at": iso_kept(monitor.since_at),
        "schedule_kind": monitor.schedule_kind,
        "schedule_expression": monitor.schedule_expression,
        "timezone": monitor.timezone,
        "grace_seconds": monitor.grace_seconds,
        "longest_run_seconds": monitor.longest_run_seconds,
        "shortest_run_seconds": monitor.shortest_run_seconds,
        "failures_before_alert": monitor.failures_before_alert,
        "successes_before_recovery": monitor.successes_before_recovery,
        "reminder_seconds": monitor.reminder_seconds,
        "channel_ids": [channel.uid for channel in channels],
        "fan_out": bool(monitor.fan_out),
        "unique_key": monitor.unique_key,
        "made_by": monitor.dialect,
        "ping_url": ping_url,
        "badge_url": badge_url,
        "last_ping_at": iso_or_none(monitor.last_ping_at),
        "last_ping_kind": None if monitor.last_kind is None else KIND_WORDS[monitor.last_kind],
        "last_success_at": iso_or_none(monitor.last_success_at),
        "last_duration_ms": monitor.last_duration_ms,
        "next_expected_at": iso_or_none(monitor.due_at),
        "deadline_at": iso_or_none(monitor.deadline_at),
        "ping_count": monitor.ping_count,
        "last_alert_at": iso_or_none(monitor.last_alert_at),
        "snoozed_until": iso_or_none(monitor.snoozed_until) if monitor.is_snoozed(now) else None,
        "created_at": iso_kept(monitor.created_at),
        "updated_at": iso_kept(monitor.updated_at),
    }


def targets(own: Targets) -> dict[str, Any]:
    """What a MonitorDetail has besides."""
    return {
        "mail": own.mail,
        "webhook_url": own.masked_webhook_url,
        "webhook_format": own.webhook_format,
        "webhook_has_secret": own.webhook_has_secret,
    }
