"""The use cases that every face shares: dialects, dashboard and CLI only translate."""

from __future__ import annotations

from tocsin.domain.schedule import Occurrence, parse_schedule, preview
from tocsin.engine.manage.alerts import Alerts
from tocsin.engine.manage.confirm import Confirm
from tocsin.engine.manage.control import Control
from tocsin.engine.manage.editing import Editing
from tocsin.engine.manage.keys import Keys
from tocsin.engine.manage.notifications import Notifications
from tocsin.engine.manage.pings import Pings
from tocsin.engine.manage.projects import Projects
from tocsin.engine.manage.replay import Replay
from tocsin.engine.manage.subscriptions import Subscriptions


class Manage(Confirm, Subscriptions, Keys, Projects, Editing, Control, Pings, Alerts, Notifications, Replay):
    """Everything that people and their programs can ask for: accounts and channels come with Confirm,
    monitors with Editing.

    Each method raises TocsinError, whose code a face turns into its own answer: INVALID with all its fields
    at once, UNAUTHENTICATED, PAYMENT_REQUIRED, FORBIDDEN, NOT_FOUND, CONFLICT, LIMIT_REACHED.
    """

    def preview(self, kind: str, expression: str, timezone: str, count: int = 10) -> tuple[Occurrence, ...]:
        """The next expected times of a schedule, from now (promise 9). INVALID: `schedule`, `timezone`."""
        return preview(parse_schedule(kind, expression, timezone), self._now(), count)
