"""Every setting, typed, and the one way to read them.

Read once by app.py and cli/; every other part is handed its own values.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from email.utils import parseaddr
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "TOCSIN_"
CONFIG_VARIABLE = "TOCSIN_CONFIG"
CONFIG_FILE = "tocsin.toml"
SECRET_KEY_LENGTH = 16

Network = IPv4Network | IPv6Network


class SettingsError(Exception):
    """One line that names the setting and says what is wrong with it."""


class SettingDescription(NamedTuple):
    """One setting for people: its variable, its default as text, what it does."""

    variable: str
    default: str
    text: str


def _base_url(value: str) -> str:
    url = urlsplit(value)
    if url.scheme not in {"http", "https"} or not url.hostname:
        raise ValueError("must be an address such as https://tocsin.example.com")
    if url.query or url.fragment:
        raise ValueError("must have no query and no fragment")
    return value.rstrip("/")


def _host_url(value: str) -> str:
    url = _base_url(value)
    if urlsplit(url).path:
        raise ValueError("must be a host without a path, such as https://ping.example.com")
    return url


def _smtp_url(value: SecretStr) -> SecretStr:
    url = urlsplit(value.get_secret_value())
    if url.scheme not in {"smtp", "smtps"} or not url.hostname:
        raise ValueError(
            "must look like smtp://user:password@mail.example.com:587, or smtps://… for TLS from the start"
        )
    return value


def _database_url(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if text.startswith("postgres://"):
        return SecretStr("postgresql://" + text.removeprefix("postgres://"))
    # sqlite:// without a path is a database in memory: an acknowledged ping would not be stored.
    if text.startswith("postgresql://") or (text.startswith("sqlite:///") and len(text) > len("sqlite:///")):
        return value
    raise ValueError("must look like sqlite:///path/to/tocsin.db or postgresql://user:password@host/name")


def _secret_key(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < SECRET_KEY_LENGTH:
        raise ValueError(f"must have at least {SECRET_KEY_LENGTH} characters")
    return value


def _bot_token(value: SecretStr) -> SecretStr:
    if not re.fullmatch("[0-9]{1,20}:[A-Za-z0-9_-]{1,150}", value.get_secret_value()):
        raise ValueError("must look like 123456:ABC-DEF, as @BotFather gives it")
    return value


def _mail_address(value: str) -> str:
    _, address = parseaddr(value)
    name, at, host = address.rpartition("@")
    if not (name and at and host) or "\n" in value or "\r" in value:
        raise ValueError("must be a mail address such as Tocsin <tocsin@example.com>")
    return value


def _plans(value: str) -> str:
    if value in {"self-hosted", "hosted"} or Path(value).is_file():
        return value
    raise ValueError("must be self-hosted, hosted, or the path of a TOML file that exists")


def _networks(value: object) -> object:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple):
        return value
    return tuple(_network(str(part).strip()) for part in parts if str(part).strip())


def _prices(value: object) -> object:
    if not isinstance(value, str):
        return value
    pairs = [part.partition("=") for part in value.split(",") if part.strip()]
    return {name.strip(): price.strip() for name, _, price in pairs}


def _complete_prices(value: dict[str, str]) -> dict[str, str]:
    if all(name and price for name, price in value.items()):
        return value
    raise ValueError("must name plans and their prices, such as pro=price_1AbC,team=price_2DeF")


def _network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise ValueError(f"must be networks such as 10.0.0.0/8,fd00::/8, and {error}") from error


def _sqlite_in_data(fields: Mapping[str, Any]) -> SecretStr:
    return SecretStr(f"sqlite:///{fields['data'].absolute() / 'tocsin.db'}")


def _own_address(fields: Mapping[str, Any]) -> str:
    host: str = fields["host"]
    # Nobody can open 0.0.0.0 or [::] in a browser.
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104 - it is replaced, not bound
    if ":" in shown and not shown.startswith("["):
        shown = f"[{shown}]"
    return f"http://{shown}:{fields['port']}"


BaseUrl = Annotated[str, AfterValidator(_base_url)]
HostUrl = Annotated[str, AfterValidator(_host_url)]
Networks = Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_networks)]
Prices = Annotated[dict[str, str], NoDecode, BeforeValidator(_prices), AfterValidator(_complete_prices)]


class Settings(BaseSettings):
    """All settings of one Tocsin, from the command line, the environment, and tocsin.toml, in this order.

    Make one with `load_settings`, which turns every mistake into one clear line.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    # Where it runs
    data: Path = Field(
        default=Path("data"),
        description="Folder for the embedded database and the generated key; made when missing.",
    )
    database_url: Annotated[SecretStr, AfterValidator(_database_url)] = Field(
        default_factory=_sqlite_in_data,
        description=(
            "`sqlite:///path` or `postgresql://user:password@host/name`. "
            "Unset: the SQLite file `tocsin.db` in the data folder."
        ),
    )
    host: str = Field(default="127.0.0.1", min_length=1, description="Address to listen on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    workers: PositiveInt = Field(
        default=1, description="Processes that take pings. With SQLite one process does everything."
    )
    public_url: BaseUrl = Field(
        default_factory=_own_address,
        description="Address at which people and jobs reach Tocsin. Unset: `http://` with host and port.",
    )
    ping_url: HostUrl | None = Field(
        default=None, description="Address shown for pings, where they have a host name of their own."
    )
    trusted_proxies: Networks = Field(
        default=(),
        description="Networks of the reverse proxies whose `X-Forwarded-For` is believed, comma-separated.",
    )

    # Who may use it
    signup: Literal["closed", "open"] = Field(
        default="closed",
        description=(
            "`open` lets anyone make an account; `closed` lets nobody but, from this machine, the very first."
        ),
    )
    plans: Annotated[str, AfterValidator(_plans)] = Field(
        default="self-hosted",
        description="`self-hosted` (no limits to pay for), `hosted`, or the path of a TOML file with plans.",
    )
    secret_key: Annotated[SecretStr, AfterValidator(_secret_key)] | None = Field(
        default=None,
        description=(
            "Key that encrypts channel secrets, at least 16 characters. "
            "Unset: generated into the data folder; PostgreSQL needs it set."
        ),
    )
    metrics_token: SecretStr | None = Field(
        default=None,
        description="Bearer token for `/metrics`. Unset: only this machine may read it.",
    )

    # How it tells people
    smtp_url: Annotated[SecretStr, AfterValidator(_smtp_url)] | None = Field(
        default=None,
        description=(
            "`smtp[s]://user:password@host:port` for mail; special characters percent-encoded. "
            "Unset: no mail is sent."
        ),
    )
    mail_from: Annotated[str, AfterValidator(_mail_address)] = Field(
        default="Tocsin <tocsin@localhost>", description="Sender of mails."
    )
    allowed_networks: Networks = Field(
        default=(),
        description=(
            "Networks, comma-separated, that outgoing requests may reach besides public ones; "
            "these may be plain http."
        ),
    )
    telegram_api_base: BaseUrl = Field(
        default="https://api.telegram.org", description="Address of Telegram's API."
    )
    telegram_bot_token: Annotated[SecretStr, AfterValidator(_bot_token)] | None = Field(
        default=None,
        description="Token of the bot for Telegram channels that bring none. Unset: each has to.",
    )
    pagerduty_api_base: BaseUrl = Field(
        default="https://events.pagerduty.com",
        description="Address of PagerDuty's Events API; `https://events.eu.pagerduty.com` in the EU.",
    )
    http_timeout_seconds: PositiveFloat = Field(
        default=10, description="Time that one outgoing request may take."
    )
    smtp_timeout_seconds: PositiveFloat = Field(
        default=30, description="Time that sending one mail may take."
    )
    digest_threshold: PositiveInt = Field(
        default=5, description="More alerts than this at once for one person's channel become one message."
    )

    # What it takes
    body_limit_bytes: PositiveInt = Field(
        default=10_000, description="Part of a ping's body that is kept; the rest is cut and marked."
    )
    request_limit_bytes: PositiveInt = Field(
        default=1_000_000, description="Largest request that is taken at all."
    )
    request_timeout_seconds: PositiveFloat = Field(
        default=30, description="Time within which a request must have arrived completely."
    )
    queue_limit: PositiveInt = Field(
        default=20_000, description="Pings that may wait for the database before new ones get a 503."
    )
    unknown_token_limit_per_minute: PositiveInt = Field(
        default=60, description="Pings with an unknown token that one address may send a minute."
    )

    # What it keeps
    pings_per_monitor: PositiveInt = Field(
        default=10_000, description="Newest pings that are kept of each monitor."
    )
    ping_days: PositiveInt = Field(default=365, description="Days that a ping is kept.")

    # How it is paid for, and what it says about itself
    stripe_secret_key: SecretStr | None = Field(
        default=None, description="Key of the Stripe account. Unset: nothing can be bought."
    )
    stripe_webhook_secret: SecretStr | None = Field(
        default=None,
        description=(
            "Secret (`whsec_…`) that signs Stripe's webhooks to `/api/v1/stripe/webhook`. "
            "Unset: a payment changes no plan."
        ),
    )
    stripe_prices: Prices | None = Field(
        default=None,
        description=(
            "Plans that are for sale and the ids of their recurring prices at Stripe, as "
            "`pro=price_1AbC,team=price_2DeF`. Unset: a plan's name is taken for the id of its price."
        ),
    )
    stripe_api_base: BaseUrl = Field(default="https://api.stripe.com", description="Address of Stripe's API.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="`debug`, `info`, `warning` or `error`."
    )

    @model_validator(mode="after")
    def _shared_database_needs_a_key(self) -> "Settings":
        # A key in one node's data folder would not open what another node sealed.
        if self.database_url.get_secret_value().startswith("postgresql://") and self.secret_key is None:
            raise ValueError(
                "TOCSIN_SECRET_KEY: must be set with PostgreSQL, to the same value on every node"
            )
        return self


def load_settings(**overrides: object) -> Settings:
    """Read all settings once: `overrides` (flags; None means not given), environment, tocsin.toml.

    The file is `tocsin.toml` in the working directory, if there is one, or the one that
    TOCSIN_CONFIG names. Raises SettingsError, whose text is one line, for an unknown TOCSIN_*
    variable or key, a bad value, or a file that cannot be read.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    in_environment = _variables_set()
    in_file = {name: value for name, value in _read_file().items() if name not in in_environment}
    try:
        return Settings(**{**in_file, **given})
    except ValidationError as error:
        problems = [_problem(detail, given, in_file) for detail in error.errors(include_url=False)]
        raise SettingsError("; ".join(problem for problem in problems if problem)) from None


def describe_settings() -> Iterator[SettingDescription]:
    """Yield every setting, in the order of docs/settings.md and of `tocsin serve --help`."""
    for name, field in Settings.model_fields.items():
        default = "" if field.default_factory else _default_text(field.default)
        yield SettingDescription(PREFIX + name.upper(), default, field.description or "")


def _default_text(default: object) -> str:
    if default is None or default == ():
        return ""
    return f"{default:g}" if isinstance(default, float) else str(default)


def _variables_set() -> set[str]:
    """Return the fields that the environment sets; an unknown TOCSIN_* variable is an error."""
    known = {PREFIX + name.upper(): name for name in Settings.model_fields}
    seen = {name for name in os.environ if name.startswith(PREFIX) and name != CONFIG_VARIABLE}
    if unknown := sorted(seen - known.keys()):
        raise SettingsError(f"{unknown[0]}: {_no_such(unknown[0], known)}")
    return {known[name] for name in seen if os.environ[name]}


def _no_such(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, [*known], n=1)
    return f"no such setting (did you mean {near[0]}?)" if near else "no such setting"


def _read_file() -> dict[str, Any]:
    named = os.environ.get(CONFIG_VARIABLE)
    path = Path(named or CONFIG_FILE)
    if not named and not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        source = f"{CONFIG_VARIABLE}: {path}" if named else path
        raise SettingsError(f"{source}: {reason}") from None


def _problem(detail: ErrorDetails, given: Mapping[str, object], in_file: Mapping[str, object]) -> str:
    """Say in one line what is wrong with one field, by the name under which the person set it."""
    # A default that is made from a field which is itself wrong is not the person's mistake.
    if detail["type"] == "default_factory_not_called":
        return ""
    reason = detail["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    if not detail["loc"]:
        return reason
    name = str(detail["loc"][0])
    if detail["type"] == "extra_forbidden":
        reason = _no_such(name, Settings.model_fields)
    return f"{_origin(name, given, in_file)}: {reason}"


def _origin(name: str, given: Mapping[str, object], in_file: Mapping[str, object]) -> str:
    if name in given:
        return "--" + name.replace("_", "-")
    return (
        f"{name} in {os.environ.get(CONFIG_VARIABLE) or CONFIG_FILE}"
        if name in in_file
        else PREFIX + name.upper()
    )
