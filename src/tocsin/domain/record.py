"""What the use cases hand out: stored things as they are read. Times are microseconds UTC."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import urlsplit

from msgspec import Struct

from tocsin.domain.monitor import SECOND, Status
from tocsin.domain.schedule import has_stood_for, longest_distance_seconds, parse_schedule

Item = TypeVar("Item")

MASK = "***"  # stands for what may be a secret
NO_CHANNELS = "[]"


class Monitor(Struct, frozen=True, array_like=True, gc=False):
    """A monitor as it stands: what it is, what is expected of it, how it does, and its token.

    A struct, made straight from a row: a page of 50 must cost less than a millisecond. The fields are columns
    of the tables monitor and monitor_state. `fan_out` may be 1 or 0, as databases have it. `token` is the
    credential in its ping address, in the shape of `dialect`: a read-only key must not see it.
    """

    id: int
    uid: str
    project_id: int
    dialect: str
    name: str
    slug: str
    description: str
    tag_text: str
    schedule_kind: str
    schedule_expression: str
    timezone: str
    grace_seconds: int
    longest_run_seconds: int | None
    shortest_run_seconds: int | None
    failures_before_alert: int
    successes_before_recovery: int
    reminder_seconds: int | None
    channel_text: str
    fan_out: bool | int
    mail_channel_id: int | None
    webhook_channel_id: int | None
    unique_key: str | None
    badge_key: str
    created_at: int
    updated_at: int
    status: str
    reason: str | None
    since_at: int
    last_ping_at: int | None
    last_kind: int | None
    last_success_at: int | None
    due_at: int | None
    deadline_at: int | None
    run_text: str | None
    ping_count: int
    last_duration_ms: int | None
    snoozed_until: int | None
    last_ping_id: int | None
    last_alert_at: int | None
    token: str

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags, in the order they were given."""
        return tuple(self.tag_text.split())

    @property
    def channel_ids(self) -> tuple[int, ...]:
        """The explicit channels (`channel.id`); empty where fan_out or nothing decides."""
        return tuple(json.loads(self.channel_text)) if self.channel_text != NO_CHANNELS else ()

    @property
    def is_running(self) -> bool:
        """A run was started and has not ended."""
        return self.run_text is not None and self.run_text != "[]"

    def is_late(self, now: int) -> bool:
        """Past due, and not yet decided."""
        return self.status == Status.UP and self.due_at is not None and now >= self.due_at

    def is_snoozed(self, now: int) -> bool:
        """Alerts are held back."""
        return self.snoozed_until is not None and now < self.snoozed_until

    def shown_status(self, now: int) -> str:
        """The native API's status: the stored one, but `late` where an up monitor is past due."""
        return "late" if self.is_late(now) else self.status

    def next_expected_at(self, *, with_grace: bool = False) -> int | None:
        """When the next success is expected, or the end of the grace after it; None where none is."""
        if self.due_at is None or not with_grace:
            return self.due_at
        return self.due_at + self.grace_seconds * SECOND

    def interval_seconds(self, now: int) -> int:
        """The interval, or what stands for it where a dialect knows no other schedule (rules.md, Routing):
        the longest distance between the next 10 expected times."""
        if self.schedule_kind == "interval":
            return int(self.schedule_expression)
        schedule = parse_schedule(self.schedule_kind, self.schedule_expression, self.timezone)
        return longest_distance_seconds(schedule, now)

    def was_shown_as(self, interval_seconds: int, now: int) -> bool:
        """Whether a client may have read this as `interval_seconds` within the last hour."""
        schedule = parse_schedule(self.schedule_kind, self.schedule_expression, self.timezone)
        return has_stood_for(schedule, interval_seconds, now)


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """A piece of a list. `total` is None where counting would cost a scan; `next_cursor` where it ends."""

    items: list[Item]
    total: int | None
    next_cursor: int | None


@dataclass(frozen=True, slots=True)
class Targets:
    """A monitor's own mail and webhook, opened. `mail`: "none", "members" or an address."""

    mail: str = "none"
    webhook_url: str | None = None
    webhook_format: str = "house"
    webhook_has_secret: bool = False

    @property
    def masked_webhook_url(self) -> str | None:
        """The address without what follows the host: the addresses of chat services are credentials."""
        if self.webhook_url is None:
            return None
        parts = urlsplit(self.webhook_url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/{MASK}"


class PingView(NamedTuple):
    """One ping. `kind` is domain.ping.Kind, `flags` the bits of domain.ping.Flag; a progress ping has its
    percentage as `exit_code`."""

    id: int
    monitor_id: int
    arrived_at: int
    kind: int
    run_id: str | None
    exit_code: int | None
    duration_ms: int | None
    address: str | None
    user_agent: str | None
    flags: int


class FlipView(NamedTuple):
    """One change of status."""

    id: int
    monitor_id: int
    monitor_uid: str
    monitor_name: str
    at: int
    old: str
    new: str
    reason: str
    announced: bool


class IncidentView(NamedTuple):
    """A span of trouble: a down flip (`id`) and the flip that ended it, None while it lasts."""

    id: int
    monitor_id: int
    monitor_uid: str
    monitor_name: str
    started_at: int
    ended_at: int | None
    reason: str


class ToldChannel(NamedTuple):
    """A channel as an alert names it, deleted or not."""

    id: int
    kind: str
    label: str


class AlertView(NamedTuple):
    """One announced flip (`id`) at `at`, written at `created_at`, with the channels that it went to."""

    id: int
    at: int
    created_at: int
    new: str
    reason: str
    channels: tuple[ToldChannel, ...]


class KeyView(NamedTuple):
    """A key without its secret: `prefix` is what its owner recognises it by."""

    id: int
    uid: str
    dialect: str
    prefix: str
    label: str
    read_only: bool
    expires_at: int | None
    revoked_at: int | None
    last_used_at: int | None
    created_at: int


@dataclass(frozen=True, slots=True)
class ChannelView:
    """A channel. Secrets in `config` read "***"."""

    id: int
    uid: str
    kind: str
    label: str
    config: Mapping[str, Any]
    enabled: bool
    disabled_reason: str | None
    verified_at: int | None
    created_at: int
    updated_at: int


class AttemptView(NamedTuple):
    """One try to deliver. `outcome`: delivered, retry or refused."""

    at: int
    outcome: str
    code: int | None
    detail: str
    duration_ms: int


@dataclass(frozen=True, slots=True)
class NotificationView:
    """One delivery of one alert on one channel. `channel_uid` is None for a monitor's own mail or webhook.

    `status`: pending, held, delivered, failed or withdrawn. `attempt_list` is filled for a single one only.
    """

    id: int
    uid: str
    event: str
    status: str
    message: str
    reason: str | None
    at: int
    monitor_id: int | None
    monitor_uid: str | None
    monitor_name: str | None
    channel_id: int
    channel_uid: str | None
    channel_kind: str
    channel_label: str
    attempts: int
    next_attempt_at: int | None
    created_at: int
    finished_at: int | None
    attempt_list: tuple[AttemptView, ...] = ()


class ProjectView(NamedTuple):
    """A project and its rules for alerts."""

    id: int
    uid: str
    name: str
    dialect: str
    owner_id: int
    owner_email: str
    plan: str
    alert_on_down: bool
    alert_on_recovery: bool
    monitor_count: int
    created_at: int


class AccountView(NamedTuple):
    """A person who signs in."""

    id: int
    email: str
    verified_at: int | None
    created_at: int
