"""All operations of CronBeats' API, and what their document says of them."""

from __future__ import annotations

from tocsin.web.dialects.cronbeats import bulk, integrations, jobs, shapes, signals
from tocsin.web.openapi import About, Operation

JOBS, INTEGRATIONS = "/api/v1/jobs", "/api/v1/integrations"

ABOUT = About(
    title="CronBeats dialect of Tocsin",
    description=(
        "The API of CronBeats as Tocsin speaks it. A job pings POST, GET or HEAD /ping/{job_key}, and below "
        "it /start, /end/success, /end/fail, /progress and /progress/{0-100}; no key is needed for that."
    ),
    problem=shapes.Failure,
    security={"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "A key beginning cb_."},
    parts={
        "id": {"schema": {"type": "integer", "minimum": 1}},
        "type": {"schema": {"type": "string", "enum": ["slack", "discord", "telegram", "webhook"]}},
    },
)

_ONE = f"{JOBS}/{{id}}"
_BULK = f"{JOBS}/bulk"
_OF_ONE = (403, 404)
# The order counts: "bulk" is no job's number.
OPERATIONS = (
    Operation(
        "POST",
        JOBS,
        jobs.create_job,
        "Create a job",
        {201: shapes.CreatedJobAnswer},
        takes=shapes.NewJob,
        refusals=(403, 422),
        tag="Jobs",
    ),
    Operation(
        "GET",
        JOBS,
        jobs.list_jobs,
        "List jobs",
        {200: shapes.JobsAnswer},
        query=shapes.JobQuery,
        refusals=(403, 422),
        tag="Jobs",
    ),
    *(
        Operation(
            "POST",
            f"{_BULK}/{verb}",
            handler,
            f"{verb.title()} many jobs",
            {200: model},
            takes=shapes.JobIds,
            refusals=(403, 422),
            tag="Jobs",
        )
        for verb, handler, model in (
            ("pause", bulk.pause_jobs, shapes.PausedAnswer),
            ("resume", bulk.resume_jobs, shapes.ResumedAnswer),
            ("delete", bulk.delete_jobs, shapes.DeletedAnswer),
        )
    ),
    Operation("GET", _ONE, jobs.get_job, "Get a job", {200: shapes.JobAnswer}, refusals=_OF_ONE, tag="Jobs"),
    Operation(
        "PUT",
        f"{_ONE}/update",
        jobs.update_job,
        "Change a job",
        {200: shapes.JobAnswer},
        takes=shapes.JobChanges,
        refusals=(*_OF_ONE, 422),
        tag="Jobs",
    ),
    Operation(
        "POST", f"{_ONE}/delete", jobs.delete_job, "Delete a job", {204: None}, refusals=_OF_ONE, tag="Jobs"
    ),
    Operation(
        "POST",
        f"{_ONE}/pause",
        jobs.pause_job,
        "Pause a job",
        {200: shapes.JobAnswer},
        refusals=_OF_ONE,
        tag="Jobs",
    ),
    Operation(
        "POST",
        f"{_ONE}/resume",
        jobs.resume_job,
        "Resume a job",
        {200: shapes.JobAnswer},
        refusals=_OF_ONE,
        tag="Jobs",
    ),
    Operation(
        "GET",
        f"{_ONE}/signals",
        signals.list_signals,
        "List a job's signals",
        {200: shapes.SignalsAnswer},
        query=shapes.PageQuery,
        refusals=(*_OF_ONE, 422),
        tag="Jobs",
    ),
    Operation(
        "GET",
        INTEGRATIONS,
        integrations.list_integrations,
        "List integrations",
        {200: shapes.IntegrationsAnswer},
        refusals=(403,),
        tag="Integrations",
    ),
    *(
        Operation(
            "PUT",
            f"{INTEGRATIONS}/{kind}",
            handler,
            f"Configure {kind.title()}",
            {200: model},
            takes=changes,
            refusals=(403, 422),
            tag="Integrations",
        )
        for kind, handler, changes, model in (
            ("slack", integrations.configure_slack, shapes.ChatChanges, shapes.ChatAnswer),
            ("discord", integrations.configure_discord, shapes.ChatChanges, shapes.ChatAnswer),
            ("telegram", integrations.configure_telegram, shapes.TelegramChanges, shapes.TelegramAnswer),
            ("webhook", integrations.configure_webhook, shapes.WebhookChanges, shapes.WebhookAnswer),
        )
    ),
    Operation(
        "GET",
        f"{INTEGRATIONS}/alert-rules",
        integrations.get_alert_rules,
        "Get alert rules",
        {200: shapes.AlertRulesAnswer},
        refusals=(403,),
        tag="Integrations",
    ),
    Operation(
        "PUT",
        f"{INTEGRATIONS}/alert-rules",
        integrations.update_alert_rules,
        "Change alert rules",
        {200: shapes.AlertRulesAnswer},
        takes=shapes.AlertRuleChanges,
        refusals=(403, 422),
        tag="Integrations",
    ),
    Operation(
        "POST",
        f"{INTEGRATIONS}/{{type}}/test",
        integrations.test_integration,
        "Test an integration",
        {200: shapes.TestAnswer},
        refusals=(403, 404, 502),
        tag="Integrations",
    ),
)
