"""What was told to whom, with every attempt."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field
from starlette.responses import Response

from tocsin.domain.record import AttemptView, NotificationView
from tocsin.engine.manage.monitors import MonitorRef
from tocsin.web.api import Call, json_response
from tocsin.web.dialects.tocsin.shapes import Cursor, Given, PageQuery, Time, Uid, listed
from tocsin.web.openapi import Operation
from tocsin.web.query import Query
from tocsin.web.times import iso, iso_or_none

Standing = Literal["pending", "held", "delivered", "failed", "withdrawn"]
STANDINGS = ("pending", "held", "delivered", "failed", "withdrawn")


class Attempt(Given):
    """One try to deliver."""

    at: Time
    outcome: Literal["delivered", "retry", "refused"]
    code: int | None
    detail: str
    duration_ms: int


class NotificationItem(Given):
    """One delivery of one alert on one channel. `channel_id` is null for a monitor's own mail or webhook."""

    id: str
    event: str
    status: Standing
    message: str
    reason: str | None
    at: Time
    monitor_id: Uid | None
    monitor_name: str | None
    channel_id: Uid | None
    channel_kind: str
    channel_label: str
    attempts: int
    next_attempt_at: Time | None
    created_at: Time
    finished_at: Time | None


class Notification(NotificationItem):
    """A notification with every attempt, oldest first."""

    attempt_list: list[Attempt]


class NotificationPage(Given):
    """Notifications, newest first."""

    notifications: list[NotificationItem]
    total: int | None
    next_cursor: Cursor


class NotificationQuery(PageQuery):
    """Which notifications."""

    status: list[Standing] = Field(default=[], description="Any of these; may be repeated.")
    monitor_id: str = Field(default="", description="Only this monitor's.")


async def list_notifications(call: Call) -> Response:
    """Notifications of the project, or of one monitor."""
    query = Query(call.request)
    limit, cursor = query.number("limit", 50, 100), query.cursor()
    statuses, uid = query.words("status", STANDINGS), query.word("monitor_id")
    query.finish()
    monitor_id = (await call.manage.monitor(call.actor, MonitorRef.of_uid(uid))).id if uid else None
    page = await call.manage.notifications(
        call.actor, monitor_id=monitor_id, statuses=statuses, limit=limit, cursor=cursor
    )
    return listed("notifications", [_item(each) for each in page.items], page.total, page.next_cursor)


async def get_notification(call: Call) -> Response:
    """One notification, with its attempts."""
    view = await call.manage.notification(call.actor, call.part("notification_id"))
    return json_response(_item(view) | {"attempt_list": [_attempt(each) for each in view.attempt_list]})


def _item(view: NotificationView) -> dict[str, Any]:
    return {
        "id": view.uid,
        "event": view.event,
        "status": view.status,
        "message": view.message,
        "reason": view.reason,
        "at": iso(view.at),
        "monitor_id": view.monitor_uid,
        "monitor_name": view.monitor_name,
        "channel_id": view.channel_uid,
        "channel_kind": view.channel_kind,
        "channel_label": view.channel_label,
        "attempts": view.attempts,
        "next_attempt_at": iso_or_none(view.next_attempt_at),
        "created_at": iso(view.created_at),
        "finished_at": iso_or_none(view.finished_at),
    }


def _attempt(attempt: AttemptView) -> dict[str, Any]:
    return {
        "at": iso(attempt.at),
        "outcome": attempt.outcome,
        "code": attempt.code,
        "detail": attempt.detail,
        "duration_ms": attempt.duration_ms,
    }


OPERATIONS = (
    Operation(
        "GET",
        "/notifications",
        list_notifications,
        "List notifications",
        {200: NotificationPage},
        query=NotificationQuery,
        refusals=(404, 422),
    ),
    Operation(
        "GET",
        "/notifications/{notification_id}",
        get_notification,
        "Get a notification",
        {200: Notification},
        refusals=(404,),
    ),
)
