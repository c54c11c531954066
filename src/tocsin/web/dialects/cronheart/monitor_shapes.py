"""Monitors on the wire: what is sent to us, and what we answer with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from tocsin.domain.record import ChannelView, Monitor
from tocsin.web.api import Call
from tocsin.web.dialect import badge_address, ping_address
from tocsin.web.dialects.cronheart.shapes import (
    ChannelReference,
    Given,
    Status,
    Taken,
    Time,
    Uuid,
    channel_reference,
    public_uuid,
    status_word,
    time,
    time_or_none,
)

ScheduleKind = Literal["cron", "interval", "simple"]


class MonitorChanges(Taken):
    """What may be changed of a monitor; what is not sent stays."""

    name: str = Field(default="", min_length=2, max_length=120)
    schedule_kind: ScheduleKind = "interval"
    schedule_expr: str | int = Field(
        default="3600",
        description=(
            "Seconds from 30 to 31622400, as digits or a number (interval), five cron fields or an @name "
            "(cron), or words (simple)."
        ),
        examples=["3600", "0 3 * * *", "daily at 03:00"],
    )
    tz: str = Field(default="UTC", max_length=64, examples=["Europe/Berlin"])
    grace_seconds: int = Field(default=60, ge=0, le=86_400, description="Past the expected time.")
    channel_ids: list[str | int] = Field(
        default=[],
        max_length=100,
        description="Whom to tell; empty: every verified channel of the project.",
        examples=[[]],
    )


class NewMonitor(MonitorChanges):
    """What to watch."""

    name: str = Field(min_length=2, max_length=120, examples=["nightly-backup"])
    schedule_kind: ScheduleKind
    schedule_expr: str | int = Field(
        description=(
            "Seconds from 30 to 31622400, as digits or a number (interval), five cron fields or an @name "
            "(cron), or words (simple)."
        ),
        examples=["3600"],
    )


class Snooze(Taken):
    """For how long alerts are held back."""

    duration: Literal["1h", "4h", "1d", "1w"]


class Rotation(Taken):
    """The UUID that is to be replaced, so that it does not happen by mistake."""

    confirm: Uuid


class MonitorItem(Given):
    """A monitor."""

    uuid: Uuid
    name: str
    schedule_kind: ScheduleKind
    schedule_expr: str
    tz: str
    grace_seconds: int
    channels: list[ChannelReference] = Field(description="Empty: every verified channel of the project.")
    status: Status
    next_expected_at: Time | None
    snoozed_until: Time | None
    last_ping_at: Time | None
    created_at: Time
    ping_url: str | None = Field(description="A credential: null for a read-only token, which is ours.")
    badge_url: str


class MonitorList(Given):
    """A page of monitors, newest first."""

    data: list[MonitorItem]
    total: int
    limit: int
    offset: int


def item(call: Call, monitor: Monitor, channels: Sequence[ChannelView]) -> dict[str, Any]:
    """A MonitorItem."""
    now, read_only = call.now, call.actor.read_only
    return {
        "uuid": public_uuid(monitor, read_only=read_only),
        "name": monitor.name,
        "schedule_kind": monitor.schedule_kind,
        "schedule_expr": monitor.schedule_expression,
        "tz": monitor.timezone,
        "grace_seconds": monitor.grace_seconds,
        "channels": [channel_reference(one) for one in channels],
        "status": status_word(monitor, now),
        "next_expected_at": time_or_none(monitor.next_expected_at()),
        "snoozed_until": time_or_none(monitor.snoozed_until if monitor.is_snoozed(now) else None),
        "last_ping_at": time_or_none(monitor.last_ping_at),
        "created_at": time(monitor.created_at),
        "ping_url": None if read_only else ping_address(call.services, monitor),
        "badge_url": badge_address(call.services, monitor),
    }
