"""The one schema. Names in the hot SQL come from here; times are microseconds UTC, flags are 0 and 1.

Narrow and wide are apart on purpose: a ping rewrites its monitor's row of `monitor_state` and appends to
`ping`, and touches no index. A monitor's pings form a chain (`monitor_state.last_ping_id`, `ping.prev_id`)
in true order, newest first; see docs/decisions/0003-pings-are-a-chain.md.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    false,
    text,
    true,
)

metadata = MetaData()

# A BIGINT primary key is no rowid on SQLite, and would cost a second tree.
Id = BigInteger().with_variant(Integer, "sqlite")
Time = BigInteger


def _key() -> Column[int]:
    return Column("id", Id, primary_key=True, autoincrement=True)


account = Table(
    "account",
    metadata,
    _key(),
    Column("email", Text, nullable=False, unique=True),  # lower case
    Column("password_hash", Text),
    Column("verified_at", Time),
    Column("created_at", Time, nullable=False),
)

project = Table(
    "project",
    metadata,
    _key(),
    Column("uid", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("dialect", Text, nullable=False),  # the face it was made through
    Column("owner_id", BigInteger, nullable=False),
    Column("plan", Text, nullable=False),
    Column("alert_on_down", Boolean, nullable=False, server_default=true()),
    Column("alert_on_recovery", Boolean, nullable=False, server_default=true()),
    Column("monitor_count", Integer, nullable=False, server_default=text("0")),
    Column("created_at", Time, nullable=False),
    Column("deleted_at", Time),
    Index("project_owner", "owner_id"),
    Index("project_name", "name"),
)

subscription = Table(
    "subscription",  # what a project pays for; the newest that has not ended names its plan
    metadata,
    Column("id", Text, primary_key=True),  # Stripe's
    Column("project_id", BigInteger, nullable=False),
    Column("plan", Text, nullable=False),
    Column("bought_at", Time, nullable=False),  # by Stripe's clock
    Column("ended_at", Time),
    Index("subscription_project", "project_id"),
)

member = Table(
    "member",
    metadata,
    Column("project_id", BigInteger, primary_key=True, autoincrement=False),
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("role", Text, nullable=False),  # owner, admin, editor, viewer
    Column("wants_alerts", Boolean, nullable=False, server_default=true()),
    Index("member_account", "account_id"),
)

key = Table(
    "key",
    metadata,
    _key(),
    Column("uid", Text, nullable=False, unique=True),
    Column("project_id", BigInteger, nullable=False),
    Column("dialect", Text, nullable=False),
    Column("hash", Text, nullable=False, unique=True),  # SHA-256, hex
    Column("prefix", Text, nullable=False),  # the first 12 characters, to recognise it by
    Column("label", Text, nullable=False, server_default=""),
    Column("read_only", Boolean, nullable=False, server_default=false()),
    Column("expires_at", Time),
    Column("revoked_at", Time),
    Column("last_used_at", Time),
    Column("created_at", Time, nullable=False),
    Index("key_project", "project_id"),
    sqlite_autoincrement=True,  # an id that was seen outside never comes back
)

link = Table(
    "link",  # a one-time link: sign-in, recovery, channel verification
    metadata,
    Column("hash", Text, primary_key=True),
    Column("purpose", Text, nullable=False),
    Column("account_id", BigInteger),
    Column("channel_id", BigInteger),
    Column("expires_at", Time, nullable=False),
    Column("used_at", Time),
)

session = Table(
    "session",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("account_id", BigInteger, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("expires_at", Time, nullable=False),
)

monitor = Table(
    "monitor",
    metadata,
    _key(),
    Column("uid", Text, nullable=False, unique=True),  # 32 hex digits; the public id, never a credential
    Column("project_id", BigInteger, nullable=False),
    Column("dialect", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("slug", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("tags", Text, nullable=False, server_default=""),  # separated by one blank
    Column("schedule_kind", Text, nullable=False),
    Column("schedule_expression", Text, nullable=False),
    Column("timezone", Text, nullable=False, server_default="UTC"),
    Column("grace_seconds", Integer, nullable=False),
    Column("longest_run_seconds", Integer),
    Column("shortest_run_seconds", Integer),
    Column("failures_before_alert", Integer, nullable=False, server_default=text("1")),
    Column("successes_before_recovery", Integer, nullable=False, server_default=text("1")),
    Column("reminder_seconds", Integer),
    Column(
        "channel_ids", Text, nullable=False, server_default="[]"
    ),  # explicit ones, JSON list of channel.id
    Column("fan_out", Boolean, nullable=False, server_default=false()),
    Column("mail_channel_id", BigInteger),  # a hidden channel: members, or one address
    Column("webhook_channel_id", BigInteger),  # a hidden channel
    Column("unique_key", Text),
    Column("badge_key", Text, nullable=False, unique=True),  # in a badge's address; no credential
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
    Column("deleted_at", Time),
    # A list pages newest first, from the index alone in its order; deleted rows are not in it.
    Index(
        "monitor_list",
        "project_id",
        "id",
        sqlite_where=text("deleted_at IS NULL"),
        postgresql_where=text("deleted_at IS NULL"),
    ),
    Index(
        "monitor_unique_key",
        "project_id",
        "unique_key",
        unique=True,
        sqlite_where=text("unique_key IS NOT NULL AND deleted_at IS NULL"),
        postgresql_where=text("unique_key IS NOT NULL AND deleted_at IS NULL"),
    ),
    Index("monitor_name", "project_id", "name"),
    Index(
        "monitor_deleted",
        "deleted_at",
        sqlite_where=text("deleted_at IS NOT NULL"),
        postgresql_where=text("deleted_at IS NOT NULL"),
    ),
    sqlite_autoincrement=True,  # an id that was seen outside never comes back
)

token = Table(
    "token",  # a credential in a ping address -> the monitor, and the dialect that answers
    metadata,
    Column("token", Text, primary_key=True),
    Column("monitor_id", BigInteger, nullable=False),
    Column("dialect", Text, nullable=False),
    Index("token_monitor", "monitor_id"),
    sqlite_with_rowid=False,
)

monitor_state = Table(
    "monitor_state",  # domain.monitor.State, and what belongs to storing it
    metadata,
    Column("monitor_id", Id, primary_key=True, autoincrement=False),
    Column("status", Text, nullable=False, server_default="new"),
    Column("version", Integer, nullable=False, server_default=text("0")),
    Column("reason", Text),
    Column("since_at", Time, nullable=False),
    Column("last_ping_at", Time),
    Column("last_kind", SmallInteger),
    Column("last_success_at", Time),
    Column("due_at", Time),
    Column("deadline_at", Time),
    Column("failures", Integer, nullable=False, server_default=text("0")),
    Column("successes", Integer, nullable=False, server_default=text("0")),
    Column("runs", Text),  # JSON, NULL where none is open
    Column("ping_count", Integer, nullable=False, server_default=text("0")),
    Column("last_duration_ms", Integer),
    Column("away_from", Time),
    Column("away_until", Time),
    Column("snoozed_until", Time),
    Column("remind_at", Time),
    Column("look_at", Time),  # what `watch` says, so that a ping can tell whether it must touch it
    Column("last_ping_id", BigInteger),  # head of the chain
    Column("last_alert_at", Time),
)

watch = Table(
    "watch",  # when the watcher looks at a monitor next; never later than its next event
    metadata,
    Column("monitor_id", Id, primary_key=True, autoincrement=False),
    Column("look_at", Time, nullable=False),
    Index("watch_look_at", "look_at"),
)

ping = Table(
    "ping",
    metadata,
    _key(),
    Column("prev_id", BigInteger),
    Column("monitor_id", BigInteger, nullable=False),
    Column("number", Integer, nullable=False),  # the monitor's ping count with it: tells how many came after
    Column("arrived_at", Time, nullable=False),
    Column("kind", SmallInteger, nullable=False),  # domain.ping.Kind
    Column("run_id", Text),
    Column("exit_code", SmallInteger),  # of a progress ping: its percentage
    Column("duration_ms", Integer),
    Column("address", Text),
    Column("user_agent", Text),
    Column("flags", SmallInteger),  # domain.ping.Flag; NULL where none
)

ping_body = Table(
    "ping_body",
    metadata,
    Column("ping_id", Id, primary_key=True, autoincrement=False),
    Column("body", LargeBinary, nullable=False),
)

flip = Table(
    "flip",
    metadata,
    _key(),
    Column("project_id", BigInteger, nullable=False),
    Column("monitor_id", BigInteger, nullable=False),
    Column("at", Time, nullable=False),
    Column("old", Text, nullable=False),
    Column("new", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("announced", Boolean, nullable=False),
    Column("detail", Text),  # JSON: what else the alert says (exit code, run, gap)
    Column("created_at", Time, nullable=False),
    Index("flip_monitor", "monitor_id", "id"),
    Index("flip_project", "project_id", "id"),
    sqlite_autoincrement=True,  # an id that was seen outside never comes back
)

channel = Table(
    "channel",
    metadata,
    _key(),
    Column("uid", Text, nullable=False, unique=True),
    Column("project_id", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),  # the name of its module in tocsin.channels
    Column("label", Text, nullable=False),
    Column("config", Text, nullable=False),  # JSON, sealed (store/vault.py)
    Column("fingerprint", Text, nullable=False),  # SHA-256 of kind and config: finds a hidden channel again
    Column(
        "hidden", Boolean, nullable=False, server_default=text("0")
    ),  # made for a monitor's own mail or webhook
    Column("enabled", Boolean, nullable=False, server_default=true()),
    Column("disabled_reason", Text),
    Column("verified_at", Time),
    Column("refusals", Integer, nullable=False, server_default=text("0")),  # permanent ones in a row
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
    Column("deleted_at", Time),
    Index("channel_project", "project_id"),
    Index("channel_fingerprint", "project_id", "fingerprint"),
    sqlite_autoincrement=True,  # an id that was seen outside never comes back
)

notification = Table(
    "notification",  # the outbox: one delivery of one alert on one channel
    metadata,
    _key(),
    Column("uid", Text, nullable=False, unique=True),  # the Idempotency-Key
    Column("project_id", BigInteger, nullable=False),
    Column("channel_id", BigInteger, nullable=False),
    Column("monitor_id", BigInteger),
    Column("flip_id", BigInteger),
    Column("event", Text, nullable=False),  # domain.alert.Event
    Column(
        "facts", Text, nullable=False
    ),  # JSON: domain.alert.Facts, frozen, so that every attempt says the same
    Column("status", Text, nullable=False),  # pending, held, delivered, failed, withdrawn
    Column("batch", Text),  # uid of the digest it was frozen into
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("next_attempt_at", Time),  # NULL where no attempt is to come
    Column("lease_until", Time),
    Column("created_at", Time, nullable=False),
    Column("finished_at", Time),
    Index(
        "notification_pending",
        "next_attempt_at",
        sqlite_where=text("status = 'pending'"),
        postgresql_where=text("status = 'pending'"),
    ),
    Index(
        "notification_order",
        "channel_id",
        "monitor_id",
        "id",
        sqlite_where=text("status = 'pending'"),
        postgresql_where=text("status = 'pending'"),
    ),
    Index(
        "notification_dead",
        "finished_at",
        sqlite_where=text("status = 'failed'"),
        postgresql_where=text("status = 'failed'"),
    ),
    Index("notification_project", "project_id", "id"),
    Index("notification_monitor", "monitor_id", "id"),
    sqlite_autoincrement=True,  # an id that was seen outside never comes back
)

attempt = Table(
    "attempt",  # one try to deliver, and what came back
    metadata,
    _key(),
    Column("notification_id", BigInteger, nullable=False),
    Column("at", Time, nullable=False),
    Column("outcome", Text, nullable=False),  # delivered, retry, refused
    Column("code", Integer),
    Column("detail", Text, nullable=False, server_default=""),
    Column("duration_ms", Integer, nullable=False),
    Index("attempt_notification", "notification_id"),
)

process = Table(
    "process",  # an intake process and its mark (rules.md, Own deafness)
    metadata,
    _key(),
    Column("node", Text, nullable=False),
    Column("started_at", Time, nullable=False),
    Column("mark_at", Time, nullable=False),
    Column("ended_at", Time),  # a later process has taken note of its end
)

gap = Table(
    "gap",
    metadata,
    _key(),
    Column("process_id", BigInteger, nullable=False),
    Column("from_at", Time, nullable=False),
    Column("until_at", Time, nullable=False),
    Column("cause", Text, nullable=False),  # stop, hang, refused, failed, clock
    Column("told_at", Time),  # when its notices were written; NULL: still to do
    Index("gap_until", "until_at"),
)

replay = Table(
    "replay",  # what a request with an Idempotency-Key was answered
    metadata,
    Column("project_id", BigInteger, primary_key=True, autoincrement=False),
    Column("key_hash", Text, primary_key=True),  # SHA-256, hex
    Column("fingerprint", Text, nullable=False),  # SHA-256 of method, path and body, hex
    Column("status", SmallInteger),  # NULL while the request is under way
    Column("headers", Text, nullable=False, server_default="{}"),  # JSON
    Column("body", LargeBinary),
    Column("created_at", Time, nullable=False),
    Index("replay_created", "created_at"),
)

meta = Table(
    "meta",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
