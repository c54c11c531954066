"""The four integrations of a workspace: of each kind the project's oldest channel that is verified (no other
gets alerts); and the alert rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from tocsin.domain.channel import Outcome
from tocsin.domain.errors import Code, TocsinError
from tocsin.domain.record import MASK, ChannelView
from tocsin.engine.manage.desk import may_write
from tocsin.engine.manage.form import LONGEST_URL, Form
from tocsin.web.api import Call
from tocsin.web.dialects.cronbeats.answers import success, told_at_once
from tocsin.web.dialects.cronbeats.shapes import LONGEST_SECRET

_FIELDS: Mapping[str, tuple[str, ...]] = {
    "slack": ("webhook_url",),
    "discord": ("webhook_url",),
    "telegram": ("bot_token", "chat_id"),
    "webhook": ("url", "secret"),
}
_SECRET = "secret"  # noqa: S105 - the name of a field
_RULES = ("alert_on_down", "alert_on_recovery")


async def list_integrations(call: Call) -> Response:
    """All four; secrets read ***."""
    channels = await call.manage.channels(call.actor)
    return success({kind: _shown(kind, _oldest(kind, channels)) for kind in _FIELDS})


async def configure_slack(call: Call) -> Response:
    """Set, change, switch or clear the Slack webhook."""
    return await _configure(call, "slack")


async def configure_discord(call: Call) -> Response:
    """Set, change, switch or clear the Discord webhook."""
    return await _configure(call, "discord")


async def configure_telegram(call: Call) -> Response:
    """Set, change, switch or clear the Telegram bot and its chat."""
    return await _configure(call, "telegram")


async def configure_webhook(call: Call) -> Response:
    """Set, change, switch or clear the webhook."""
    return await _configure(call, "webhook")


async def test_integration(call: Call) -> Response:
    """Send a test message now."""
    kind = call.part("type")
    if kind not in _FIELDS:
        raise TocsinError(Code.NOT_FOUND, "There is no such integration")
    may_write(call.actor)
    channel = await _find(call, kind)
    if channel is None:
        raise TocsinError(Code.CONFLICT, "Integration is not configured")
    receipt = await call.manage.test_channel(call.actor, channel.uid)
    if receipt.outcome is not Outcome.DELIVERED:
        raise TocsinError(Code.UPSTREAM, f"The test was not delivered: {receipt.detail}")
    return success({"type": kind, "delivered": True, "detail": receipt.detail})


async def get_alert_rules(call: Call) -> Response:
    """What people are told."""
    project = await call.manage.project(call.actor)
    return success({rule: bool(getattr(project, rule)) for rule in _RULES})


async def update_alert_rules(call: Call) -> Response:
    """Change what is sent; the rest stays."""
    fields = await call.fields()
    changes = {rule: fields[rule] for rule in _RULES if rule in fields}
    project = await call.manage.update_project(call.actor, changes)
    return success({rule: bool(getattr(project, rule)) for rule in _RULES})


async def _configure(call: Call, kind: str) -> Response:
    may_write(call.actor)
    fields = await call.fields()
    refused = _refused(kind, fields)
    config = {name: fields[name] for name in _FIELDS[kind] if name in fields}
    # A list is no text: what is refused here, no kind of channel takes either.
    config |= {name: [value] for name, value in config.items() if name in refused}
    channel = await _find(call, kind)
    if _is_emptied(config, channel):
        await _clear(call, channel, refused)
    else:
        # Of two first ones that come at once, the later changes what the other has made.
        channel = channel or await _create(call, kind, config, fields, refused)
        if channel is not None:
            await told_at_once(_change(call, channel, config, fields), refused)
    return success(_shown(kind, await _find(call, kind)))


def _refused(kind: str, fields: Mapping[str, Any]) -> dict[str, str]:
    """What is no text or no switch at all, and a secret that only CronBeats finds too long."""
    form = Form()
    for name in _FIELDS[kind]:
        if fields.get(name) is not None:
            form.text(name, fields[name], 0, LONGEST_SECRET if name == _SECRET else LONGEST_URL)
    if "is_enabled" in fields:
        form.flag("is_enabled", fields["is_enabled"])
    return form.problems


def _is_emptied(config: Mapping[str, Any], channel: ChannelView | None) -> bool:
    """Whether a field is empty without which there is nowhere to send to. Null for what reads null, as the
    token of the server's own bot does, is no change."""
    shown = config if channel is None else channel.config
    return any(
        value == "" or (value is None and name in shown) for name, value in config.items() if name != _SECRET
    )


async def _clear(call: Call, channel: ChannelView | None, refused: Mapping[str, str]) -> None:
    if refused:
        raise TocsinError(Code.INVALID, "The integration stays as it is.", refused)
    if channel is not None:
        await call.manage.delete_channel(call.actor, channel.uid)


async def _create(
    call: Call,
    kind: str,
    config: Mapping[str, Any],
    fields: Mapping[str, Any],
    refused: Mapping[str, str],
) -> ChannelView | None:
    """Make it; the one that another request made meanwhile, or None where nothing is left to change."""
    is_enabled = fields.get("is_enabled", bool(config))
    if not config and is_enabled is False:
        return None
    given = {name: value for name, value in config.items() if (name, value) != (_SECRET, MASK)}
    try:
        await call.manage.create_first_channel(
            call.actor, kind, given, enabled=is_enabled is True, refused=refused
        )
    except TocsinError as error:
        if error.code is not Code.CONFLICT:
            raise
        return await _find(call, kind)
    return None


async def _change(
    call: Call, channel: ChannelView, config: Mapping[str, Any], fields: Mapping[str, Any]
) -> None:
    changes: dict[str, Any] = {}
    if config:
        changes["config"] = {name: None if value == "" else value for name, value in config.items()}
    if "is_enabled" in fields:
        changes["enabled"] = fields["is_enabled"]
    if changes:
        await call.manage.update_channel(call.actor, channel.uid, changes)


async def _find(call: Call, kind: str) -> ChannelView | None:
    return _oldest(kind, await call.manage.channels(call.actor))


def _oldest(kind: str, channels: list[ChannelView]) -> ChannelView | None:
    mine = (channel for channel in channels if channel.kind == kind)
    return next((channel for channel in mine if channel.verified_at is not None), None)


def _shown(kind: str, channel: ChannelView | None) -> dict[str, Any]:
    config: Mapping[str, Any] = {} if channel is None else channel.config
    is_enabled = channel is not None and bool(channel.enabled)
    return {"is_enabled": is_enabled, **{name: config.get(name) for name in _FIELDS[kind]}}
