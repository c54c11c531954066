"""The bodies of CronBeats' API. The models document; the use cases check what is sent."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-02-20T15:42:00Z"])]
Seconds = Annotated[int, Field(ge=1, le=31_622_400)]
Grace = Annotated[int, Field(ge=0, le=31_622_400)]
Status = Literal["pending", "healthy", "late", "down", "disabled"]
Filter = Literal["all", "enabled", "disabled", "healthy", "late", "down"]
LONGEST_DESCRIPTION = 255
MOST_IN_BULK = 100
LONGEST_SECRET = 64


class NewJob(BaseModel):
    """A job to watch."""

    name: str = Field(min_length=1, max_length=200, examples=["Daily Database Backup"])
    expected_interval_seconds: Seconds = Field(examples=[86400])
    grace_seconds: Grace = Field(default=300, examples=[600])
    description: str = Field(default="", max_length=LONGEST_DESCRIPTION)
    timezone: str = Field(default="UTC", description="A name of the IANA database.")


class JobChanges(BaseModel):
    """What may be changed; the rest stays."""

    name: str = Field(default="", min_length=1, max_length=200)
    expected_interval_seconds: Seconds = 86_400
    grace_seconds: Grace = 300
    description: str = Field(default="", max_length=LONGEST_DESCRIPTION)
    timezone: str = "UTC"


class CreatedJob(BaseModel):
    """A new job."""

    id: int
    job_key: str | None = Field(description="A credential: null for a read-only key.")
    name: str
    ping_url: str | None = Field(description="A credential: null for a read-only key.")
    is_enabled: bool
    created_at: Time


class Job(CreatedJob):
    """A job as it stands."""

    description: str
    expected_interval_seconds: int
    grace_seconds: int
    timezone: str
    status: Status
    last_ping_at: Time | None
    next_expected_at: Time | None = Field(description="When the next success is expected, grace not counted.")
    updated_at: Time


class Signal(BaseModel):
    """One received ping. `progress` is ours."""

    id: int
    type: Literal["ping", "start", "success", "fail", "progress", "log"]
    received_at: Time
    ip_address: str | None
    user_agent: str | None
    duration_ms: int | None
    message: str | None = Field(
        description="The body's `message`, else its text; at most 255 characters of it."
    )
    exit_code: int | None
    progress: int | None = Field(description="The percentage of a progress ping that names one.")


class Pagination(BaseModel):
    """Where a page stands in its list."""

    page: int
    per_page: int
    total: int
    total_pages: int


class JobPage(BaseModel):
    """Jobs, newest first."""

    jobs: list[Job]
    pagination: Pagination


class SignalPage(BaseModel):
    """Signals, newest first."""

    signals: list[Signal]
    pagination: Pagination


class PageQuery(BaseModel):
    """Which part of a list."""

    page: int = Field(default=1, ge=1)
    per_page: int = Field(default=50, ge=1, description="More than 100 means 100.")


class JobQuery(PageQuery):
    """Which jobs."""

    status: Filter = Field(default="all", description="A job that was never pinged is in `enabled` only.")


class JobIds(BaseModel):
    """The jobs to do something to."""

    job_ids: list[int] = Field(min_length=1, max_length=MOST_IN_BULK, examples=[[123, 456, 789]])


class BulkFailure(BaseModel):
    """A job to which it was not done, and why."""

    id: int
    error: str


class BulkResult(BaseModel):
    """What became of many."""

    total_requested: int
    failed: list[BulkFailure]


class Paused(BulkResult):
    """What became of the jobs."""

    successfully_paused: int


class Resumed(BulkResult):
    """What became of the jobs."""

    successfully_resumed: int


class Deleted(BulkResult):
    """What became of the jobs."""

    successfully_deleted: int


class ChatChanges(BaseModel):
    """Where alerts go; what is missing stays. A value as it was read (***) means the stored one."""

    webhook_url: str | None = Field(
        default="", examples=["https://hooks.slack.com/services/T00/B00/xxx"], description="Empty to clear."
    )
    is_enabled: bool = True


class TelegramChanges(BaseModel):
    """Where alerts go; what is missing stays. A value as it was read (***) means the stored one."""

    bot_token: str | None = Field(default="", description="Empty to clear, the chat as well.")
    chat_id: str | None = Field(default="", description="Empty to clear, the bot as well.")
    is_enabled: bool = True


class WebhookChanges(BaseModel):
    """Where alerts go; what is missing stays. A value as it was read (***) means the stored one."""

    url: str | None = Field(
        default="", examples=["https://example.com/alerts"], description="Empty to clear."
    )
    secret: str | None = Field(
        default="", max_length=LONGEST_SECRET, description="Signs the body. Empty: no signature."
    )
    is_enabled: bool = True


class Chat(BaseModel):
    """Slack or Discord; *** stands for an address."""

    is_enabled: bool
    webhook_url: str | None


class Telegram(BaseModel):
    """Telegram; *** stands for the token."""

    is_enabled: bool
    bot_token: str | None
    chat_id: str | None


class Webhook(BaseModel):
    """A webhook; *** stands for the address and the secret."""

    is_enabled: bool
    url: str | None
    secret: str | None


class Integrations(BaseModel):
    """Where the alerts of all jobs go."""

    slack: Chat
    discord: Chat
    telegram: Telegram
    webhook: Webhook


class Test(BaseModel):
    """A test that was delivered."""

    type: Literal["slack", "discord", "telegram", "webhook"]
    delivered: Literal[True]
    detail: str


class AlertRuleChanges(BaseModel):
    """What may be changed; the rest stays."""

    alert_on_down: bool = True
    alert_on_recovery: bool = True


class AlertRules(BaseModel):
    """What people are told."""

    alert_on_down: bool
    alert_on_recovery: bool


class Answer(BaseModel):
    """The envelope of what went well."""

    success: Literal[True]


class CreatedJobAnswer(Answer):
    """A new job."""

    data: CreatedJob


class JobAnswer(Answer):
    """One job."""

    data: Job


class JobsAnswer(Answer):
    """A page of jobs."""

    data: JobPage


class SignalsAnswer(Answer):
    """A page of signals."""

    data: SignalPage


class PausedAnswer(Answer):
    """What became of many."""

    data: Paused


class ResumedAnswer(Answer):
    """What became of many."""

    data: Resumed


class DeletedAnswer(Answer):
    """What became of many."""

    data: Deleted


class IntegrationsAnswer(Answer):
    """All integrations."""

    data: Integrations


class ChatAnswer(Answer):
    """One integration."""

    data: Chat


class TelegramAnswer(Answer):
    """One integration."""

    data: Telegram


class WebhookAnswer(Answer):
    """One integration."""

    data: Webhook


class TestAnswer(Answer):
    """A test that was delivered."""

    data: Test


class AlertRulesAnswer(Answer):
    """The rules for alerts."""

    data: AlertRules


class Meta(BaseModel):
    """About the answer itself."""

    timestamp: Time


class BrokenLimit(BaseModel):
    """The limit that a request broke."""

    type: Literal["per_minute", "per_day"]
    limit: int
    reset_at: str = Field(examples=["2026-02-21 15:30:00"])


class Failure(BaseModel):
    """Every error. `errors` names each refused field; `error` is an object where a limit was broken, and
    `meta` is missing there."""

    success: Literal[False]
    error: str | BrokenLimit
    message: str
    errors: dict[str, str] = {}
    meta: Meta | None = None
