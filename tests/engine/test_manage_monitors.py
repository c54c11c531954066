from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs
from sqlalchemy import select

from tests.management import Office
from tocsin.domain.errors import Code, TocsinError
from tocsin.domain.monitor import SECOND
from tocsin.domain.project import Actor
from tocsin.domain.record import Monitor, Targets
from tocsin.engine.manage.monitors import MonitorDraft, MonitorQuery, MonitorRef
from tocsin.store import tables

SHAPES = {
    "cronpeek": r"[0-9a-f]{32}",
    "cronping": r"[0-9a-f]{40}",
    "anethoth": r"[A-Za-z0-9_-]{32}",
    "cronbeats": r"[A-Za-z0-9]{8}",
    "cronheart": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "tocsin": r"[A-Za-z0-9]{24}",
}


async def refusal(office: Office, actor: Actor, **fields: Any) -> TocsinError:
    with pytest.raises(TocsinError) as caught:
        await office.manage.create_monitor(
            actor, MonitorDraft(**{"name": "job", "dialect": "tocsin", **fields})
        )
    return caught.value


async def names(office: Office, actor: Actor, **query: Any) -> list[str]:
    page = await office.manage.monitors(actor, MonitorQuery(**query))
    return [monitor.name for monitor in page.items]


async def test_a_monitor_reads_back_as_it_was_made(office: Office, actor: Actor) -> None:
    made = await office.monitor(
        actor,
        "Nightly DB backup",
        schedule_kind="cron",
        schedule_expression="0 3 * * *",
        timezone="America/Sao_Paulo",
        grace_seconds=600,
        longest_run_seconds=3600,
        tags=["prod", "db", "prod"],
        description="two\nlines",
        reminder_seconds=900,
    )
    read = await office.manage.monitor(actor, MonitorRef.of_uid(made.uid))
    assert read == made
    assert read.tags == ("prod", "db")
    assert (read.slug, read.status, read.schedule_expression) == ("nightly-db-backup", "new", "0 3 * * *")
    assert (read.grace_seconds, read.longest_run_seconds, read.reminder_seconds) == (600, 3600, 900)
    assert read.fan_out
    assert re.fullmatch(r"[0-9a-f]{32}", read.uid)


@pytest.mark.parametrize("dialect", SHAPES)
async def test_a_token_has_its_dialects_shape_and_is_no_public_id(office: Office, dialect: str) -> None:
    actor = await office.actor(dialect, plan=office.plans.names(dialect)[-1])
    monitor = await office.monitor(actor, schedule_expression="3600")
    assert re.fullmatch(SHAPES[dialect], monitor.token)
    assert monitor.token.replace("-", "") != monitor.uid
    assert await office.manage.monitor(actor, MonitorRef.of_token(monitor.token, dialect)) == monitor


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "   "),
        ("name", None),
        ("name", 7),
        ("name", "x" * 201),
        ("name", "nul\0"),
        ("name", "line\nend"),
        ("name", "half \ud800 of a pair"),
        ("grace_seconds", True),
        ("grace_seconds", "60"),
        ("grace_seconds", 60.0),
        ("grace_seconds", -1),
        ("grace_seconds", 366 * 86_400 + 1),
        ("grace_seconds", None),
        ("schedule_expression", "0"),
        ("schedule_expression", 3600),
        ("schedule_expression", str(366 * 86_400 + 1)),
        ("schedule_kind", "lunar"),
        ("timezone", "Mars/Olympus"),
        ("longest_run_seconds", 0),
        ("failures_before_alert", 0),
        ("successes_before_recovery", 1001),
        ("reminder_seconds", "900"),
        ("tags", "prod db"),
        ("tags", ["with blank"]),
        ("tags", [""]),
        ("tags", ["x"] * 21),
        ("tags", [7]),
        ("description", "x" * 2001),
        ("fan_out", 1),
        ("mail", "nobody"),
        ("mail", None),
        ("channel_ids", ["no such channel"]),
        ("channel_ids", "c"),
        ("webhook_url", "http://[::1/"),
        ("webhook_url", "ftp://example.com/x"),
        ("webhook_url", "http://10.0.0.1/x"),
        ("webhook_url", 7),
        ("unique_key", ""),
        ("slug", "Not A Slug"),
    ],
)
async def test_a_bad_field_is_named_and_nothing_is_made(
    office: Office, actor: Actor, field: str, value: Any
) -> None:
    error = await refusal(office, actor, **{field: value})
    assert error.code is Code.INVALID
    assert set(error.fields) == {field}
    assert await office.count(tables.monitor) == 0


async def test_all_bad_fields_are_told_at_once(office: Office, actor: Actor) -> None:
    error = await refusal(
        office,
        actor,
        name="",
        grace_seconds="x",
        schedule_kind="cron",
        schedule_expression="x",
        timezone="Mars",
        mail="x",
        webhook_url="https://127.0.0.1.x y/",
        channel_ids=["x"],
    )
    assert set(error.fields) == {
        "name",
        "grace_seconds",
        "schedule_expression",
        "timezone",
        "mail",
        "webhook_url",
        "channel_ids",
    }


async def test_a_webhook_inside_the_network_is_refused(office: Office, actor: Actor) -> None:
    error = await refusal(office, actor, webhook_url="https://169.254.169.254/latest")
    assert set(error.fields) == {"webhook_url"}


async def test_the_monitor_limit_is_kept_and_deleting_frees_a_slot(office: Office) -> None:
    actor = await office.actor(monitor_limit=2)
    first = await office.monitor(actor, "one")
    await office.monitor(actor, "two")
    error = await refusal(office, actor)
    assert (error.code, error.message) == (
        Code.LIMIT_REACHED,
        "Monitor limit reached (2). Upgrade your plan for more monitors.",
    )
    await office.manage.delete(actor, first.id)
    await office.monitor(actor, "three")
    assert (await office.manage.project(actor)).monitor_count == 2


async def test_of_many_at_once_each_stands_for_itself(office: Office) -> None:
    actor = await office.actor(monitor_limit=3)
    drafts = [
        MonitorDraft("good", "tocsin", unique_key="k"),
        MonitorDraft("", "tocsin"),
        MonitorDraft("same key", "tocsin", unique_key="k"),
        MonitorDraft("also good", "tocsin"),
        MonitorDraft("third", "tocsin"),
        MonitorDraft("too many", "tocsin"),
    ]
    made = await office.manage.create_monitors(actor, drafts)
    assert [one.name if isinstance(one, Monitor) else one.code for one in made] == [
        "good",
        Code.INVALID,
        Code.CONFLICT,
        "also good",
        "third",
        Code.LIMIT_REACHED,
    ]
    assert (await office.manage.project(actor)).monitor_count == 3


async def test_a_thousand_are_made_in_one_go_and_no_more(office: Office, actor: Actor) -> None:
    made = await office.manage.create_monitors(
        actor, [MonitorDraft(f"job {n}", "tocsin") for n in range(1000)]
    )
    assert len({one.token for one in made if isinstance(one, Monitor)}) == 1000
    assert [one.name for one in made if isinstance(one, Monitor)] == [f"job {n}" for n in range(1000)]
    with pytest.raises(TocsinError, match="At most 1000"):
        await office.manage.create_monitors(actor, [MonitorDraft("x", "tocsin")] * 1001)


async def test_a_read_only_key_changes_nothing(office: Office) -> None:
    writer = await office.actor()
    reader = await office.actor(read_only=True)
    monitor = await office.monitor(writer)
    for attempt in (
        office.manage.create_monitor(reader, MonitorDraft("x", "tocsin")),
        office.manage.update_monitor(reader, monitor.id, {"name": "x"}),
        office.manage.pause(reader, monitor.id),
        office.manage.snooze(reader, monitor.id, office.clock.now() + SECOND),
        office.manage.delete(reader, monitor.id),
        office.manage.rotate_token(reader, monitor.id),
        office.manage.create_channel(reader, "webhook", "x", {"url": "https://example.com"}),
        office.manage.create_key(reader),
        office.manage.update_project(reader, {"name": "x"}),
    ):
        with pytest.raises(TocsinError) as caught:
            await attempt
        assert caught.value.code is Code.FORBIDDEN
    assert await office.manage.monitor(reader, monitor.id) == monitor


async def test_another_projects_monitor_is_not_there_or_forbidden_as_the_face_wants(office: Office) -> None:
    mine = await office.actor()
    theirs = await office.actor(email="other@example.com")
    monitor = await office.monitor(mine)
    for ref in (monitor.id, MonitorRef.of_uid(monitor.uid), MonitorRef.of_prefix(monitor.uid[:16])):
        assert await office.manage.monitor(mine, ref) == monitor
        with pytest.raises(TocsinError) as caught:
            await office.manage.monitor(theirs, ref)
        assert caught.value.code is Code.NOT_FOUND
    with pytest.raises(TocsinError) as caught:
        await office.manage.monitor(theirs, MonitorRef.of_prefix(monitor.uid[:16], tells_foreign=True))
    assert caught.value.code is Code.FORBIDDEN
    with pytest.raises(TocsinError) as caught:
        await office.manage.update_monitor(theirs, monitor.id, {"name": "x"})
    assert caught.value.code is Code.NOT_FOUND


@pytest.mark.parametrize("value", ["", "x", "%", "0" * 31, "0" * 33, "é" * 32, "0" * 5000, "../" * 10])
async def test_nonsense_for_an_id_is_not_found(office: Office, actor: Actor, value: str) -> None:
    refs = (
        MonitorRef.of_uid(value),
        MonitorRef.of_prefix(value),
        MonitorRef.of_token(value, "tocsin"),
        MonitorRef.of_id(2**70),
        MonitorRef.of_id(-1),
    )
    for ref in refs:
        with pytest.raises(TocsinError) as caught:
            await office.manage.monitor(actor, ref)
        assert caught.value.code is Code.NOT_FOUND


async def test_a_uuid_with_dashes_and_capitals_is_the_same_monitor(office: Office, actor: Actor) -> None:
    monitor = await office.monitor(actor)
    digits = monitor.uid.upper()
    dashed = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
    assert await office.manage.monitor(actor, MonitorRef.of_uid(dashed)) == monitor


async def test_an_update_changes_what_it_names_and_nothing_else(office: Office, actor: Actor) -> None:
    before = await office.monitor(actor, schedule_kind="cron", schedule_expression="0 3 * * *", tags=["a"])
    office.hands.pass_(10)
    after = await office.manage.update_monitor(actor, before.id, {"timezone": "Europe/Berlin", "name": "new"})
    assert after.updated_at > before.updated_at
    same = structs.replace(replace_times(after), timezone="UTC", name="job")
    assert same == replace_times(before)
    assert after.timezone == "Europe/Berlin"


def replace_times(monitor: Monitor) -> Monitor:
    return structs.replace(monitor, updated_at=0)


async def test_an_update_with_a_bad_or_unknown_field_changes_nothing(office: Office, actor: Actor) -> None:
    before = await office.monitor(actor)
    with pytest.raises(TocsinError) as caught:
        await office.manage.update_monitor(
            actor, before.id, {"name": "new", "grace_seconds": 1.5, "uid": "x", "schedule_kind": "cron"}
        )
    assert set(caught.value.fields) == {"grace_seconds", "uid", "schedule_expression"}
    assert await office.manage.monitor(actor, before.id) == before


async def test_a_key_of_another_monitor_is_a_conflict(office: Office, actor: Actor) -> None:
    await office.monitor(actor, unique_key="k")
    other = await office.monitor(actor, unique_key="l")
    with pytest.raises(TocsinError) as caught:
        await office.manage.update_monitor(actor, other.id, {"unique_key": "k"})
    assert caught.value.code is Code.CONFLICT


async def test_put_updates_by_key_then_by_name_and_else_creates(office: Office, actor: Actor) -> None:
    put = office.manage.put_monitor
    given = {"name", "unique_key", "grace_seconds"}
    made, created = await put(actor, MonitorDraft("one", "tocsin", unique_key="k", grace_seconds=1), given)
    assert created
    draft = MonitorDraft("renamed", "tocsin", unique_key="k", grace_seconds=2, schedule_expression="60")
    again, created = await put(actor, draft, given)
    assert (again.id, created, again.name, again.grace_seconds) == (made.id, False, "renamed", 2)
    assert again.schedule_expression == made.schedule_expression
    plain = await office.monitor(actor, "by name")
    found, created = await put(actor, MonitorDraft("by name", "tocsin", unique_key="n"), given)
    assert (found.id, created, found.unique_key) == (plain.id, False, "n")
    await office.manage.delete(actor, made.id)
    _, created = await put(actor, draft, given)
    assert created


async def test_a_page_is_newest_first_by_offset_or_cursor(office: Office, actor: Actor) -> None:
    for number in range(5):
        await office.monitor(actor, f"job {number}")
    first = await office.manage.monitors(actor, MonitorQuery(limit=2))
    assert ([one.name for one in first.items], first.total) == (["job 4", "job 3"], 5)
    assert await names(office, actor, limit=2, offset=2) == ["job 2", "job 1"]
    assert await names(office, actor, limit=9, cursor=first.next_cursor) == ["job 2", "job 1", "job 0"]
    last = await office.manage.monitors(actor, MonitorQuery(limit=5))
    assert last.next_cursor is None


async def test_filters_by_name_tags_and_status(office: Office, actor: Actor) -> None:
    await office.monitor(actor, "Backup 100%", tags=["prod", "db"])
    await office.monitor(actor, "backup_two", tags=["prod"])
    paused = await office.monitor(actor, "report", tags=["PROD", "production"])
    await office.manage.pause(actor, paused.id)
    assert await names(office, actor, text="BACKUP") == ["backup_two", "Backup 100%"]
    assert await names(office, actor, text="%") == ["Backup 100%"]
    assert await names(office, actor, text="_") == ["backup_two"]
    assert await names(office, actor, tags=("prod",)) == ["backup_two", "Backup 100%"]
    assert await names(office, actor, tags=("prod", "db")) == ["Backup 100%"]
    assert await names(office, actor, statuses=frozenset({"paused"})) == ["report"]
    assert await names(office, actor, statuses=frozenset({"paused", "new"}), tags=("prod",)) == [
        "backup_two",
        "Backup 100%",
    ]
    page = await office.manage.monitors(actor, MonitorQuery(text="backup", limit=1))
    assert page.total == 2
    with pytest.raises(TocsinError):
        await office.manage.monitors(actor, MonitorQuery(statuses=frozenset({"lost"})))


async def test_late_and_running_are_read_from_times(office: Office, actor: Actor) -> None:
    up = await office.monitor(actor, "up", schedule_expression="60", grace_seconds=60)
    now = office.clock.now()
    state = tables.monitor_state

    def started(connection: Any) -> None:
        values = {"status": "up", "due_at": now + 60 * SECOND, "runs": "[[null,1,null,null,null]]"}
        connection.execute(state.update().where(state.c.monitor_id == up.id).values(values))

    await office.store.write(started)
    assert await names(office, actor, statuses=frozenset({"up"})) == ["up"]
    assert await names(office, actor, statuses=frozenset({"running"})) == ["up"]
    office.hands.pass_(61)
    assert await names(office, actor, statuses=frozenset({"up"})) == []
    assert await names(office, actor, statuses=frozenset({"late"})) == ["up"]
    monitor = await office.manage.monitor(actor, up.id)
    assert (monitor.shown_status(office.clock.now()), monitor.is_running) == ("late", True)
    assert monitor.next_expected_at(with_grace=True) == now + 120 * SECOND


async def test_its_own_mail_and_webhook_read_back_and_share_a_row(office: Office) -> None:
    actor = await office.actor("cronpeek")
    hook = "https://hooks.slack.com/services/T00/B00/xxx"
    fields: dict[str, Any] = {"fan_out": False, "mail": "ops@example.com", "webhook_url": hook}
    one = await office.monitor(actor, "one", **fields)
    two = await office.monitor(actor, "two", **fields)
    three = await office.monitor(actor, "three", mail="members")
    assert (one.mail_channel_id, one.webhook_channel_id) == (two.mail_channel_id, two.webhook_channel_id)
    assert await office.manage.targets(actor, [one, three]) == [
        Targets("ops@example.com", hook, "house"),
        Targets("members"),
    ]
    assert await office.manage.channels(actor) == []
    stored = await office.rows(select(tables.channel.c.config, tables.channel.c.hidden))
    assert all(row.hidden and "example" not in row.config for row in stored)


async def test_a_webhook_that_was_switched_off_is_tried_again_when_it_is_named_anew(
    office: Office, actor: Actor
) -> None:
    monitor = await office.monitor(actor, webhook_url="https://example.com/a")
    table = tables.channel
    off = table.update().values(enabled=False, disabled_reason="gone", refusals=3)
    await office.store.write(lambda connection: connection.execute(off))
    await office.manage.update_monitor(actor, monitor.id, {"webhook_url": "https://example.com/a"})
    query = select(table.c.enabled, table.c.refusals).where(table.c.id == monitor.webhook_channel_id)
    assert await office.rows(query) == [(True, 0)]


async def test_its_own_webhook_can_be_changed_in_part_and_taken_away(office: Office, actor: Actor) -> None:
    monitor = await office.monitor(actor, webhook_url="https://example.com/a", webhook_secret="s" * 20)
    moved = await office.manage.update_monitor(actor, monitor.id, {"webhook_url": "https://example.com/b"})
    [targets] = await office.manage.targets(actor, [moved])
    assert (targets.webhook_url, targets.webhook_has_secret) == ("https://example.com/b", True)
    gone = await office.manage.update_monitor(actor, monitor.id, {"webhook_url": None, "mail": "none"})
    assert await office.manage.targets(actor, [gone]) == [Targets("none")]
    assert gone.webhook_channel_id is None
    with pytest.raises(TocsinError) as caught:
        await office.manage.update_monitor(actor, monitor.id, {"webhook_secret": "s" * 20})
    assert set(caught.value.fields) == {"webhook_url"}


async def test_explicit_channels_are_named_by_uid_and_read_back(office: Office, actor: Actor) -> None:
    channels = [
        await office.manage.create_channel(actor, "webhook", label, {"url": f"https://example.com/{label}"})
        for label in ("a", "b")
    ]
    monitor = await office.monitor(actor, channel_ids=[one.uid for one in reversed(channels)])
    plain = await office.monitor(actor)
    assert monitor.channel_ids == tuple(one.id for one in channels)
    shown = await office.manage.channels_of(actor, [monitor, plain])
    assert [[one.label for one in some] for some in shown] == [["a", "b"], []]


async def test_a_new_token_makes_the_old_one_unknown(office: Office, actor: Actor) -> None:
    before = await office.monitor(actor)
    after = await office.manage.rotate_token(actor, before.id)
    assert after.token != before.token
    assert await office.manage.monitor(actor, before.id) == after
    with pytest.raises(TocsinError):
        await office.manage.monitor(actor, MonitorRef.of_token(before.token, "tocsin"))


async def test_of_two_who_replace_the_same_token_one_is_refused(office: Office, actor: Actor) -> None:
    before = await office.monitor(actor)
    at_once = (office.manage.rotate_token(actor, before.id, present=before.token) for _ in range(2))
    after, refused = await asyncio.gather(*at_once, return_exceptions=True)
    assert isinstance(after, Monitor)
    assert isinstance(refused, TocsinError)
    assert refused.code is Code.NOT_FOUND
    assert (await office.manage.monitor(actor, before.id)).token == after.token


async def test_the_plan_forbids_short_intervals_and_kinds_it_does_not_have(office: Office) -> None:
    actor = await office.actor("cronpeek")
    error = await refusal(office, actor, schedule_expression="59")
    assert set(error.fields) == {"schedule_expression"}
    plan = replace(actor.plan, channel_kinds=frozenset({"email"}))
    error = await refusal(office, replace(actor, plan=plan), webhook_url="https://example.com")
    assert error.code is Code.FORBIDDEN


def test_an_interval_stands_for_a_calendar(office: Office) -> None:
    fields: dict[str, Any] = dict.fromkeys(Monitor.__struct_fields__, 0)
    daily = {"schedule_kind": "cron", "schedule_expression": "0 3 * * *", "timezone": "UTC"}
    assert Monitor(**{**fields, **daily}).interval_seconds(office.clock.now()) == 86_400


def test_the_next_times_are_previewed_from_now(office: Office) -> None:
    times = office.manage.preview("cron", "30 2 * * *", "Europe/Berlin", 3)
    assert [one.local[11:16] for one in times] == ["02:30"] * 3


async def test_the_masked_address_that_is_read_leaves_the_webhook_as_it_is(
    office: Office, actor: Actor
) -> None:
    hook = "https://example.com/secret"
    monitor = await office.monitor(actor, webhook_url=hook, webhook_secret="s" * 20)
    changes = {"webhook_url": "https://example.com/***", "name": "new"}
    changed = await office.manage.update_monitor(actor, monitor.id, changes)
    [targets] = await office.manage.targets(actor, [changed])
    assert (changed.name, targets.webhook_url, targets.webhook_has_secret) == ("new", hook, True)
    with pytest.raises(TocsinError) as caught:
        await office.manage.update_monitor(actor, monitor.id, {"webhook_url": "https://example.org/***"})
    assert set(caught.value.fields) == {"webhook_url"}
    assert set((await refusal(office, actor, webhook_url="https://example.com/***")).fields) == {
        "webhook_url"
    }
