"""The composition root: Settings -> Store -> Engine -> Web, and the order in which they start and stop."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import logging
import resource
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Generator, Iterator
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import urlsplit

import structlog
import uvicorn
import uvloop
from pydantic import SecretStr
from setproctitle import setproctitle
from typing_extensions import override

from tocsin import __version__
from tocsin.channels import SmtpConfig, load_senders
from tocsin.channels import Tools as ChannelTools
from tocsin.channels.email import Email
from tocsin.domain.monitor import SECOND, Gap
from tocsin.domain.plan import Plans
from tocsin.engine.alerts import Voice
from tocsin.engine.away import Away
from tocsin.engine.clock import Clock
from tocsin.engine.dispatch import Dispatch, DispatchConfig
from tocsin.engine.intake import Intake, IntakeConfig
from tocsin.engine.liveness import Ledger
from tocsin.engine.manage import Manage
from tocsin.engine.manage.desk import Addresses
from tocsin.engine.manage.desk import Tools as ManageTools
from tocsin.engine.plans import load_plans
from tocsin.engine.prune import Prune, Retention
from tocsin.engine.reanchor import Reanchor
from tocsin.engine.watch import Watch
from tocsin.outbound import Outbound
from tocsin.settings import Settings, SettingsError
from tocsin.store.notifications import outbox_summary
from tocsin.store.schema import SQLITE, migrate
from tocsin.store.sqlite import SqliteStore
from tocsin.store.vault import Vault, check_canary, has_canary, load_key
from tocsin.web.billing import Billing, BillingConfig
from tocsin.web.bounds import Bounds
from tocsin.web.dashboard.views import build_dashboard
from tocsin.web.dialect import discover, webhook_formats
from tocsin.web.front import Front
from tocsin.web.health import Readiness, healthz, readyz
from tocsin.web.metrics import Reading, metrics
from tocsin.web.ping import PingConfig, PingLane, PingLimits, host_of
from tocsin.web.protocol import ConnectionLimits, protocol_factory, sweep
from tocsin.web.rate import Rates
from tocsin.web.services import Services

SILENCE = 3600 * SECOND
BACKLOG = 4_096
SPARE_DESCRIPTORS = 256
DRAIN_SECONDS = 3
DELIVERY_SECONDS = 5
SLACK_SECONDS = 5
DATABASE_SECONDS = 5
LATE_TICK = 5 * SECOND
# The writer asks for the interpreter lock some times a batch; at the default of 5 ms it would wait most of
# its time for the event loop to let go.
SWITCH_SECONDS = 0.0005
GARBAGE_THRESHOLDS = (10_000, 10, 10)

log = structlog.get_logger()


def serve(settings: Settings) -> None:
    """Migrate, start everything, and run until SIGTERM or SIGINT. Raises SettingsError in one line."""
    setproctitle("tocsin serve")
    _configure_log(settings.log_level)
    sys.setswitchinterval(SWITCH_SECONDS)
    database = _database(settings)
    with _sole_user_of(database):
        uvloop.run(_serve(settings, database, _listen(settings.host, settings.port)))


async def _serve(settings: Settings, database: Path, listener: socket.socket) -> None:
    await asyncio.to_thread(migrate, f"{SQLITE}{database}")
    store = SqliteStore(database)
    vault = Vault(_secret_key(settings, may_make=not await store.read(has_canary)))
    await store.write(lambda connection: check_canary(connection, vault))
    await App(settings, vault, store, listener).run()


class App:
    """One process that holds everything: built in order of dependence, stopped in the opposite order."""

    def __init__(self, settings: Settings, vault: Vault, store: SqliteStore, listener: socket.socket) -> None:
        self.settings = settings
        self._listener = listener
        self.public_url = settings.public_url or _address_of(listener)
        self.store = store
        self.vault = vault
        self.clock = Clock()
        self.started_at = self.clock.now()
        self.dialects = discover()
        self.outbound = Outbound(settings.allowed_networks, settings.http_timeout_seconds)
        self.senders = load_senders(_channel_tools(self))
        self.ledger = Ledger(store, self.clock, self._oldest_waiting_at)
        readers = {dialect.name: dialect.pings.read for dialect in self.dialects}
        intake_config = IntakeConfig(queue_limit=settings.queue_limit)
        self.intake = Intake(store, self.clock, self.ledger, readers, self.voice, intake_config)
        self.watch = Watch(store, self.clock, self.ledger, self.voice)
        dispatch_config = _dispatch_config(settings)
        self.dispatch = Dispatch(store, self.clock, vault, self.senders, self.voice, dispatch_config)
        self.away = Away(store, self.clock, self.voice)
        self.plans = _plans(settings)
        self.prune = Prune(store, self.clock, _retention(settings, self.plans))
        self.reanchor = Reanchor(store, self.clock, self.ledger, self.intake)
        self._members_config = vault.seal({"members": True}) if settings.smtp_url else None
        self._machine_kinds = frozenset(name for name, one in self.senders.items() if not one.for_people)
        self._tasks: set[asyncio.Task[None]] = set()
        self._duties = 0
        self.rates = Rates(settings.data / "rates.db")
        self.billing = Billing(_billing_config(settings))
        self.manage = self._manage()
        self._connect()

    def _oldest_waiting_at(self) -> int | None:
        return self.intake.oldest_waiting_at()

    def _gaps(self) -> tuple[Gap, ...]:
        self.ledger.notice(self.clock.now())
        return self.ledger.gaps()

    def voice(self) -> Voice:
        """What texts need just now; `last_heard_at` is set when no job was heard for an hour."""
        heard_at = max(self.intake.last_arrived_at or 0, self.started_at)
        is_silent = self.clock.now() - heard_at > SILENCE
        return Voice(
            public_url=self.public_url,
            last_heard_at=heard_at if is_silent else None,
            members_config=self._members_config,
            machine_kinds=self._machine_kinds,
        )

    def wake(self) -> None:
        """Something was written that the watcher or the dispatch should look at."""
        self.watch.wake_by(0)
        self.dispatch.wake()

    async def run(self) -> None:
        """Serve until told to stop, then store what was taken and stop."""
        await self.ledger.open()
        _calm_garbage_collector()
        server = self._server()
        watching = self._begin(self.watch.run())
        self._begin(self.ledger.run())
        self._begin(self.dispatch.run())
        self._begin(self.away.run())
        self._begin(self.prune.run())
        self._begin(sweep(server.server_state))
        self._duties = len(self._tasks)
        try:
            await self._greet()
            server.on_signal = lambda: self._begin(self._wind_down(server, watching), name="wind down")
            await server.serve(sockets=[self._listener])
        finally:
            await self._stop()

    def _connect(self) -> None:
        """What one part's commit means for another."""
        for part in (self.intake, self.watch):
            part.on_flips = self.dispatch.wake
        self.away.on_notices = self.dispatch.wake
        self.intake.on_earlier_event = self.watch.wake_by
        self.ledger.on_backward_step = self._go_back

    def _manage(self) -> Manage:
        settings = self.settings
        mail = self.senders["email"]
        assert isinstance(mail, Email)  # noqa: S101 - narrows a type
        return Manage(
            ManageTools(
                store=self.store,
                clock=self.clock,
                vault=self.vault,
                kinds=self.senders,
                plans=self.plans,
                addresses=Addresses(self.public_url, settings.ping_url),
                check_url=self.outbound.check,
                wake=self.wake,
                voice_of=self.voice,
                mail=mail.mail if settings.smtp_url else None,
                signup_open=settings.signup == "open",
                gaps=self._gaps,
            )
        )

    def _go_back(self, size: int) -> None:
        if not any(task.get_name() == "reanchor" for task in self._tasks):
            self._begin(self.reanchor.run(size), name="reanchor")

    def _begin(self, work: Coroutine[Any, Any, None], name: str | None = None) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _wind_down(self, server: _Server, watching: asyncio.Task[None]) -> None:
        """Deliveries under way end first, while pings are still taken; then nothing is decided any more, and
        the doors close: the gap of this stop begins here."""
        await self.dispatch.stop()
        watching.cancel()
        self.ledger.end()
        server.should_exit = True

    async def _stop(self) -> None:
        await self.intake.drain()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.ledger.close()
        self.billing.close()
        self.rates.close()
        await self.outbound.close()
        await self.store.close()

    def _server(self) -> _Server:
        ping_config = _ping_config(self.settings, self.public_url, self.plans)
        lane = PingLane(self.intake, self.dialects, ping_config, self.rates, self.clock.now)
        limits = ConnectionLimits(
            self.settings.request_timeout_seconds, connections=_raise_descriptor_limit()
        )
        config = uvicorn.Config(
            self._front(),
            http=protocol_factory(lane, limits, lambda: self.ledger.deaf("refused")),  # type: ignore[arg-type]
            loop="none",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,  # web/address.py knows whom to believe
            server_header=False,
            date_header=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )
        return _Server(config)

    def _front(self) -> Front:
        settings = self.settings
        services = Services(
            self.manage,
            self.clock.now,
            __version__,
            self.public_url,
            settings.ping_url,
            settings.trusted_proxies,
            self.rates,
            self.billing,
        )
        pages = {
            "/healthz": healthz(__version__),
            "/readyz": readyz(self._readiness),
            "/metrics": metrics(self._readings, _revealed(settings.metrics_token)),
        }
        bounds = Bounds(body_bytes=settings.request_limit_bytes)
        return Front(self.dialects, services, pages, build_dashboard(services), bounds)

    async def _readiness(self) -> Readiness:
        try:
            async with asyncio.timeout(DATABASE_SECONDS):
                look_at = await self.store.read(self.store.hot.next_look_at)
        except Exception:  # whatever keeps the database from answering
            log.exception("database_unreachable")
            return Readiness(database=False, engine=False, lag_seconds=0.0)
        now = self.clock.now()
        lag = max(0, now - look_at) / SECOND if look_at is not None else 0.0
        is_alive = now - self.ledger.ticked_at < LATE_TICK and len(self._tasks) >= self._duties
        return Readiness(database=not self.ledger.is_deaf, engine=is_alive, lag_seconds=lag)

    async def _readings(self) -> list[Reading]:
        outbox = await self.store.read(outbox_summary)
        now = self.clock.now()
        oldest_at = outbox.oldest_pending_at
        look_at = await self.store.read(self.store.hot.next_look_at)
        return [
            Reading("tocsin_pings_accepted", "counter", "Pings stored.", self.intake.accepted),
            Reading("tocsin_pings_refused", "counter", "Pings refused with 503.", self.intake.refused),
            Reading("tocsin_pings_waiting", "gauge", "Pings not committed yet.", self.intake.queue_length),
            Reading("tocsin_decisions", "counter", "Flips that the watcher decided.", self.watch.decided),
            Reading(
                "tocsin_watch_lag_seconds",
                "gauge",
                "How long the oldest deadline has been waiting to be decided.",
                max(0, now - look_at) / SECOND if look_at is not None else 0,
            ),
            Reading("tocsin_gaps", "gauge", "Gaps in the ledger.", len(self.ledger.gaps())),
            Reading("tocsin_deliveries", "counter", "Notifications delivered.", self.dispatch.delivered),
            Reading("tocsin_deliveries_failed", "counter", "Notifications given up.", self.dispatch.failed),
            Reading("tocsin_deliveries_in_flight", "gauge", "Attempts under way.", self.dispatch.in_flight),
            Reading("tocsin_outbox_pending", "gauge", "Notifications to be delivered.", outbox.pending),
            Reading("tocsin_outbox_dead_letters", "gauge", "Notifications that failed.", outbox.dead_letters),
            Reading(
                "tocsin_outbox_oldest_seconds",
                "gauge",
                "Age of the oldest pending notification.",
                (now - oldest_at) / SECOND if oldest_at is not None else 0,
            ),
            Reading("tocsin_pings_pruned", "counter", "Old pings removed.", self.prune.removed),
        ]

    async def _greet(self) -> None:
        """Say where we are, and how the first person gets in."""
        link = await self.manage.setup_link()
        print(f"Tocsin {__version__} listens on {_address_of(self._listener)}", flush=True)  # noqa: T201
        if link is not None:
            print(f"Sign in (once, within 30 minutes): {link}", flush=True)  # noqa: T201


def _database(settings: Settings) -> Path:
    url = settings.database_url.get_secret_value()
    if not url.startswith(SQLITE):
        raise SettingsError("TOCSIN_DATABASE_URL: this version serves SQLite only")
    if settings.workers > 1:
        raise SettingsError("TOCSIN_WORKERS: on SQLite one process does all; leave it at 1")
    return Path(url.removeprefix(SQLITE))


def _secret_key(settings: Settings, *, may_make: bool) -> str:
    return _revealed(settings.secret_key) or load_key(settings.data, may_make=may_make)


def _plans(settings: Settings) -> Plans:
    try:
        return load_plans(settings.plans)
    except ValueError as error:
        raise SettingsError(str(error)) from None


def _channel_tools(app: App) -> ChannelTools:
    settings, smtp = app.settings, None
    if settings.smtp_url:
        smtp = SmtpConfig.from_url(settings.smtp_url.get_secret_value(), settings.smtp_timeout_seconds)
    return ChannelTools(
        outbound=app.outbound,
        smtp=smtp,
        mail_from=settings.mail_from,
        telegram_api_base=settings.telegram_api_base,
        public_url=app.public_url,
        formats=webhook_formats(app.dialects),
        telegram_bot_token=_revealed(settings.telegram_bot_token),
        pagerduty_api_base=settings.pagerduty_api_base,
    )


def _revealed(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


def _billing_config(settings: Settings) -> BillingConfig:
    return BillingConfig(
        secret_key=_revealed(settings.stripe_secret_key),
        webhook_secret=_revealed(settings.stripe_webhook_secret),
        api_base=settings.stripe_api_base,
        prices=settings.stripe_prices,
        timeout_seconds=settings.http_timeout_seconds,
    )


def _retention(settings: Settings, plans: Plans) -> Retention:
    return Retention(settings.pings_per_monitor, settings.ping_days, plans.histories())


def _dispatch_config(settings: Settings) -> DispatchConfig:
    return DispatchConfig(
        attempt_seconds=settings.http_timeout_seconds + SLACK_SECONDS,
        slow_kinds={"email": settings.smtp_timeout_seconds + SLACK_SECONDS},
        digest_threshold=settings.digest_threshold,
        alone=True,
        stop_seconds=DELIVERY_SECONDS,
    )


def _ping_config(settings: Settings, public_url: str, plans: Plans) -> PingConfig:
    own_host, public_host = (host_of(urlsplit(url or "").netloc) for url in (settings.ping_url, public_url))
    return PingConfig(
        body_bytes=settings.body_limit_bytes,
        unknown_per_minute=settings.unknown_token_limit_per_minute,
        trusted_proxies=settings.trusted_proxies,
        host="" if own_host == public_host else own_host,
        limits={
            dialect: PingLimits(plan.pings_per_minute, plan.pings_per_minute_of_address)
            for dialect, plan in plans.first().items()
            if plan.pings_per_minute or plan.pings_per_minute_of_address
        },
    )


def _configure_log(level: str) -> None:
    """One line an event, a machine word first; standard error, so that standard output is for people."""
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(_Unfailing(sys.stderr)),  # type: ignore[arg-type]
    )


class _Unfailing:
    """A stream that may be a file on a full disk: what cannot be noted there must not stop what notes it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Write, if it can be written."""
        with contextlib.suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        """Flush, likewise."""
        with contextlib.suppress(OSError):
            self._stream.flush()


class _Server(uvicorn.Server):
    """uvicorn, told to stop by our signal handlers: its own would end the process before we have drained."""

    on_signal: Callable[[], object]
    _is_told = False

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        yield

    def _stop(self) -> None:
        """Wind down; told a second time, leave at once."""
        if self._is_told:
            self.should_exit = self.force_exit = True
        else:
            self._is_told = True
            self.on_signal()


def _calm_garbage_collector() -> None:
    """What was made so far stays, and need not be looked at again; a batch of pings makes thousands of tuples
    that die with it, and must not be searched for cycles a hundred times a second."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)


def _raise_descriptor_limit() -> int:
    """Take all file descriptors that we may have; returns how many connections that allows."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    log.info("descriptors", limit=hard)
    return max(64, hard - SPARE_DESCRIPTORS)


@contextlib.contextmanager
def _sole_user_of(database: Path) -> Iterator[None]:
    """SQLite wants one process that holds everything: a second server on the same file is refused."""
    try:
        database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = database.with_name(f"{database.name}.lock").open("w")
    except OSError as error:
        raise SettingsError(f"{database.parent}: {error.strerror}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(f"another tocsin serve uses {database}") from None
        yield


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise SettingsError(f"cannot listen on {host} port {port}: {error.strerror}") from None


def _address_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{shown}:{port}"
