"""settings.py: every setting is documented, every mistake is one clear line, no secret is shown."""

import os
from ipaddress import ip_network
from pathlib import Path

import pytest
from pydantic import SecretStr

from tocsin.settings import Settings, SettingsError, describe_settings, load_settings

DOC = Path(__file__).parents[1] / "docs" / "settings.md"
SECRETS = {
    "TOCSIN_DATABASE_URL": "postgresql://tocsin:hush-hush@db.example.com/tocsin",
    "TOCSIN_SECRET_KEY": "hush-hush-hush-hush-hush",
    "TOCSIN_METRICS_TOKEN": "hush-hush",
    "TOCSIN_TELEGRAM_BOT_TOKEN": "123456:hush-hush",
    "TOCSIN_SMTP_URL": "smtp://tocsin:hush-hush@mail.example.com:587",
    "TOCSIN_STRIPE_SECRET_KEY": "hush-hush",
    "TOCSIN_STRIPE_WEBHOOK_SECRET": "hush-hush",
}


@pytest.fixture(autouse=True)
def clean_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TOCSIN_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def mistake(**overrides: object) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(**overrides)
    message = str(caught.value)
    assert message
    assert len(message.splitlines()) == 1
    return message


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented_with_its_default(name: str) -> None:
    described = {one.variable: one for one in describe_settings()}
    setting = described[f"TOCSIN_{name.upper()}"]
    default = f"`{setting.default}`" if setting.default else ""
    assert setting.text
    assert f"| `{setting.variable}` | {default} | {setting.text} |" in DOC.read_text().splitlines()


def test_the_page_of_settings_names_none_that_does_not_exist() -> None:
    variables = {one.variable for one in describe_settings()}
    rows = [line for line in DOC.read_text().splitlines() if line.startswith("| `")]
    assert {row.split("`")[1] for row in rows} == variables


def test_the_example_file_of_the_page_is_valid(tmp_path: Path) -> None:
    example = DOC.read_text().split("```toml\n")[1].split("```")[0]
    (tmp_path / "tocsin.toml").write_text(example)
    settings = load_settings()
    assert settings.public_url == "https://tocsin.example.com"
    assert settings.allowed_networks == (ip_network("10.20.0.0/16"),)


def test_without_any_setting_it_listens_here_and_keeps_its_data_beside(tmp_path: Path) -> None:
    settings = load_settings()
    assert settings.public_url == "http://127.0.0.1:8000"
    assert settings.database_url.get_secret_value() == f"sqlite:///{tmp_path}/data/tocsin.db"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:9000"),
        ("::", "http://[::1]:9000"),
        ("fd00::7", "http://[fd00::7]:9000"),
        ("tocsin.test", "http://tocsin.test:9000"),
    ],
)
def test_the_public_address_follows_host_and_port(host: str, url: str) -> None:
    assert load_settings(host=host, port=9000).public_url == url


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tocsin.toml").write_text('host = "file"\nlog_level = "debug"\nqueue_limit = 7\n')
    monkeypatch.setenv("TOCSIN_HOST", "environment")
    monkeypatch.setenv("TOCSIN_LOG_LEVEL", "error")
    settings = load_settings(host="flag", port=None)
    assert (settings.host, settings.log_level, settings.queue_limit) == ("flag", "error", 7)


def test_a_file_elsewhere_is_read_where_the_environment_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other.toml").write_text("port = 1234\n")
    monkeypatch.setenv("TOCSIN_CONFIG", str(tmp_path / "other.toml"))
    assert load_settings().port == 1234


def test_prices_come_as_plans_and_their_ids(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert load_settings().stripe_prices is None
    (tmp_path / "tocsin.toml").write_text('[stripe_prices]\npro = "price_1"')
    assert load_settings().stripe_prices == {"pro": "price_1"}
    monkeypatch.setenv("TOCSIN_STRIPE_PRICES", "pro=price_2, team = price_3")
    assert load_settings().stripe_prices == {"pro": "price_2", "team": "price_3"}


@pytest.mark.parametrize("value", ["pro", "pro=", "=price_1", "pro=price_1,team"])
def test_a_price_without_its_plan_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_STRIPE_PRICES", value)
    assert mistake().startswith("TOCSIN_STRIPE_PRICES: must name plans and their prices")


def test_pings_have_a_host_of_their_own_and_no_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_PING_URL", "https://ping.example.com/")
    assert load_settings().ping_url == "https://ping.example.com"
    monkeypatch.setenv("TOCSIN_PING_URL", "https://example.com/ping")
    assert mistake().startswith("TOCSIN_PING_URL: must be a host without a path")


def test_networks_come_as_a_comma_separated_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_ALLOWED_NETWORKS", "127.0.0.0/8, ::1,10.1.2.3")
    assert load_settings().allowed_networks == (
        ip_network("127.0.0.0/8"),
        ip_network("::1"),
        ip_network("10.1.2.3"),
    )


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_SIGNUP", "")
    assert load_settings().signup == "closed"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TOCSIN_PORT", "eighty"),
        ("TOCSIN_PORT", "65536"),
        ("TOCSIN_WORKERS", "0"),
        ("TOCSIN_SIGNUP", "maybe"),
        ("TOCSIN_PLANS", "/no/such/plans.toml"),
        ("TOCSIN_DATABASE_URL", "mysql://host/name"),
        ("TOCSIN_DATABASE_URL", "sqlite://"),
        ("TOCSIN_PUBLIC_URL", "tocsin.example.com"),
        ("TOCSIN_PING_URL", "https://ping.example.com/?a=b"),
        ("TOCSIN_SMTP_URL", "mail.example.com"),
        ("TOCSIN_MAIL_FROM", "nobody"),
        ("TOCSIN_TELEGRAM_BOT_TOKEN", "123456"),
        ("TOCSIN_ALLOWED_NETWORKS", "10.0.0.1/8"),
        ("TOCSIN_TRUSTED_PROXIES", "proxy.example.com"),
        ("TOCSIN_SECRET_KEY", "short"),
        ("TOCSIN_LOG_LEVEL", "loud"),
        ("TOCSIN_HTTP_TIMEOUT_SECONDS", "0"),
        ("TOCSIN_BODY_LIMIT_BYTES", "10kB"),
    ],
)
def test_a_bad_value_gives_one_line_that_names_the_variable(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    assert mistake().startswith(f"{variable}: ")


def test_an_unknown_variable_gives_one_line_with_the_nearest_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_SIGNPU", "open")
    assert mistake() == "TOCSIN_SIGNPU: no such setting (did you mean TOCSIN_SIGNUP?)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("portt = 1", "portt in tocsin.toml: no such setting (did you mean port?)"),
        ('port = "x"', "port in tocsin.toml: must be a valid integer"),
        ("port = ", "tocsin.toml: Invalid value"),
    ],
)
def test_a_mistake_in_the_file_names_the_file(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "tocsin.toml").write_text(text)
    assert mistake().startswith(message)


def test_a_file_that_is_named_but_missing_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_CONFIG", "missing.toml")
    assert mistake() == "TOCSIN_CONFIG: missing.toml: No such file or directory"


def test_a_mistake_on_the_command_line_names_the_flag() -> None:
    assert mistake(port=-1).startswith("--port: ")


def test_a_shared_database_needs_the_key_to_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_DATABASE_URL", SECRETS["TOCSIN_DATABASE_URL"])
    assert mistake().startswith("TOCSIN_SECRET_KEY: ")


def test_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in SECRETS.items():
        monkeypatch.setenv(variable, value)
    settings = load_settings()
    shown = repr(settings) + str(settings) + settings.model_dump_json()
    assert "hush" not in shown
    assert all(
        isinstance(getattr(settings, variable.removeprefix("TOCSIN_").lower()), SecretStr)
        for variable in SECRETS
    )


@pytest.mark.parametrize(
    "variable", ["TOCSIN_DATABASE_URL", "TOCSIN_SMTP_URL", "TOCSIN_SECRET_KEY", "TOCSIN_TELEGRAM_BOT_TOKEN"]
)
def test_a_secret_is_not_shown_in_the_complaint_about_it(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "oops:hush")
    assert "hush" not in mistake()


def test_settings_do_not_change_after_the_start() -> None:
    settings = load_settings()
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1  # type: ignore[misc]
