"""Settings: where they come from, what is refused, and that no value is ever told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from jitprov.errors import ConfigurationError
from jitprov.settings import (
    REGIONS,
    describe_settings,
    misspelt_variables,
    process_environment,
    read_settings,
    settings,
)

SANDBOX = "http://127.0.0.1:9090"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No `.env` of the checkout and no secrets of this machine reach a test."""
    monkeypatch.chdir(tmp_path)
    secrets = tmp_path / "no-secrets"
    secrets.mkdir()
    monkeypatch.setenv("JITPROV_SECRETS_DIR", str(secrets))


def secret_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    folder = tmp_path / "secrets"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    monkeypatch.setenv("JITPROV_SECRETS_DIR", str(folder))


def refusal(**given: object) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read_settings(**given)
    assert caught.value.__cause__ is None  # the cause would show the value
    assert caught.value.__suppress_context__
    return str(caught.value)


def test_every_setting_has_a_default() -> None:
    """Nothing needs to be set to read the settings; what a part cannot do without, that part asks for."""
    chosen = read_settings()

    assert chosen.api_limit_per_min == 300
    assert chosen.time_scale == 1.0
    assert chosen.webhook_keys == ()


def test_the_environment_speaks_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable wins over the `.env` file, which wins over a secret's file, which wins over the default."""
    secret_file(tmp_path, monkeypatch, "jitprov_client_secret", "from-file")
    from_file = read_settings()
    (tmp_path / ".env").write_text("JITPROV_CLIENT_SECRET=from-dotenv\n")
    from_dotenv = read_settings()
    monkeypatch.setenv("JITPROV_CLIENT_SECRET", "from-environment")
    from_environment = read_settings()

    found = [chosen.client_secret.get_secret_value() for chosen in (from_file, from_dotenv, from_environment)]
    assert found == ["from-file", "from-dotenv", "from-environment"]


def test_what_is_handed_in_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value given by the caller wins over the environment."""
    monkeypatch.setenv("JITPROV_ATTEMPTS_MAX", "9")

    assert read_settings().attempts_max == 9
    assert read_settings(attempts_max=2).attempts_max == 2


def test_a_secrets_folder_that_is_missing_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a secrets folder the other sources speak."""
    monkeypatch.setenv("JITPROV_SECRETS_DIR", str(tmp_path / "missing"))

    assert read_settings().client_secret.get_secret_value() == ""


def test_variables_of_others_are_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A variable that is not a setting, in the environment or in `.env`, is nobody's error."""
    monkeypatch.setenv("JITPROV_NO_SUCH_SETTING", "1")
    (tmp_path / ".env").write_text("OTHER=1\nJITPROV_NEITHER=2\n")

    assert read_settings() == read_settings()


def test_a_list_is_written_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Words are separated by commas; blanks around them and empty ones do not count."""
    monkeypatch.setenv("JITPROV_START_ACTIONS", " Create , Update,, ")

    chosen = read_settings(start_entity_types=("User",))

    assert chosen.start_actions == ("Create", "Update")
    assert chosen.start_entity_types == ("User",)


def test_settings_do_not_change() -> None:
    """Settings are frozen once read."""
    with pytest.raises(ValidationError):
        read_settings().attempts_max = 2  # type: ignore[misc]


def test_a_refusal_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value out of bounds is refused under its variable's name, each wrong one in the same breath."""
    monkeypatch.setenv("JITPROV_ATTEMPTS_MAX", "0")
    monkeypatch.setenv("JITPROV_LEASE_S", "soon")

    text = refusal()

    assert "JITPROV_ATTEMPTS_MAX: " in text
    assert "JITPROV_LEASE_S: " in text


@pytest.mark.parametrize(
    "name",
    ["receiver_port", "region", "api_url", "key_prefix", "log_level", "station_source", "webhook_header", "time_scale"],
)
def test_a_refusal_never_tells_the_value(name: str) -> None:
    """The text of a refusal holds no value: what is in a wrong variable may be a secret."""
    text = refusal(**{name: "T0p!Secret value"})

    assert "Secret" not in text
    assert f"JITPROV_{name}".upper() in text


@pytest.mark.parametrize("api_url", ["http://127.0.0.1:9", "http://localhost:9/", "https://[::1]:9"])
def test_a_sandbox_may_stand_on_this_machine(api_url: str) -> None:
    """A loopback address serves as API and login, without a trailing slash, and may have a time scale."""
    chosen = read_settings(api_url=api_url, time_scale=60)

    assert chosen.api_base_url == chosen.login_base_url == api_url.rstrip("/")


@pytest.mark.parametrize(
    "api_url",
    [
        "https://api.mypurecloud.com",
        "http://127.0.0.1.example.test",
        "http://127.0.0.1@example.test",
        "http://example.test#127.0.0.1",
        "ftp://127.0.0.1",
        "127.0.0.1:9090",
    ],
)
def test_api_url_is_for_this_machine_only(api_url: str) -> None:
    """An API address that is not plainly on this machine is refused: secrets must not leave for it."""
    text = refusal(api_url=api_url)

    assert "JITPROV_API_URL" in text
    assert "set JITPROV_REGION" in text


@pytest.mark.parametrize("url", ["ftp://room.example/T0/hush", "hooks.example/T0/hush", "https://", "https://a:b/hush"])
def test_alerts_go_to_a_web_address(url: str) -> None:
    """Another scheme, or no host, is refused by the variable's name; the address, a secret, is not repeated."""
    with pytest.raises(ConfigurationError, match="JITPROV_ALERT_WEBHOOK_URL") as caught:
        read_settings(alert_webhook_url=url)

    assert "hush" not in str(caught.value)
    assert read_settings(alert_webhook_url="https://room.example:8443/T0/x").alert_webhook_url


def test_a_time_scale_needs_a_sandbox() -> None:
    """Against the real API time cannot be scaled: the budget would be broken."""
    assert "JITPROV_TIME_SCALE" in refusal(time_scale=2.0)
    assert read_settings(api_url=SANDBOX, time_scale=2.0).time_scale == 2.0


@pytest.mark.parametrize("region", REGIONS)
def test_every_region_has_its_hosts(region: str) -> None:
    """API and login of a region live under its domain."""
    chosen = read_settings(region=region)

    assert (chosen.api_base_url, chosen.login_base_url) == (f"https://api.{region}", f"https://login.{region}")


def test_an_unknown_region_is_refused_with_the_known_ones() -> None:
    """A region that does not exist is refused, and the refusal lists those that do."""
    text = refusal(region="example.test")

    assert all(region in text for region in REGIONS)


def test_a_burst_must_leave_an_even_rate() -> None:
    """A burst as large as the whole allowance is refused, since nothing would be left to spread evenly."""
    assert "JITPROV_API_BURST" in refusal(api_burst=294)
    assert read_settings(api_burst=293).api_burst == 293


def test_the_valve_follows_the_limit_until_it_is_set() -> None:
    """Left at 0, the valve is the API's limit in real minutes, just above what the meter gives."""
    assert read_settings().valve_rate_per_min == 300
    assert read_settings(api_limit_per_min=600).valve_rate_per_min == 600
    assert read_settings(api_url=SANDBOX, time_scale=2.5).valve_rate_per_min == 750
    assert read_settings(valve_per_min=60).valve_rate_per_min == 60


def test_a_lease_outlasts_what_a_dead_workers_create_leaves_unseen() -> None:
    """Who takes over looks when the lease is over: by then a create was answered, and what it made can be seen."""
    within = {"connect_timeout_s": 3.0, "read_timeout_s": 10.0, "settle_s": 40.0}

    assert "JITPROV_LEASE_S" in refusal(lease_s=53.0, **within)
    assert read_settings(lease_s=53.1, **within).lease_s == 53.1
    # Only the organization's lag passes faster in a sandbox.
    assert read_settings(lease_s=15.1, api_url=SANDBOX, time_scale=20.0, **within).lease_s == 15.1


def test_two_webhook_keys_are_active_while_one_is_rotated() -> None:
    """Both keys count when both are set, one when one is set."""
    both = read_settings(webhook_key="a" * 32, webhook_key_next="b" * 32)

    assert both.webhook_keys == ("a" * 32, "b" * 32)
    assert read_settings(webhook_key_next="b" * 32).webhook_keys == ("b" * 32,)


def test_secrets_are_masked_in_any_text() -> None:
    """Printing the settings shows no secret."""
    chosen = read_settings(client_secret="hush-hush", redis_url="redis://:hush-hush@127.0.0.1/0")

    assert "hush" not in f"{chosen!r} {chosen}"


def test_a_process_reads_its_settings_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process' settings stay as first read, whatever happens to the environment."""
    settings.cache_clear()
    monkeypatch.setenv("JITPROV_ATTEMPTS_MAX", "9")
    first = settings()
    monkeypatch.setenv("JITPROV_ATTEMPTS_MAX", "10")

    assert settings() is first
    assert first.attempts_max == 9
    settings.cache_clear()


def test_the_environment_is_handed_out_as_a_copy() -> None:
    """Changing what child processes get changes nothing here."""
    copy = process_environment()
    copy["JITPROV_ATTEMPTS_MAX"] = "9"

    assert "JITPROV_ATTEMPTS_MAX" not in os.environ


def test_a_description_tells_where_each_setting_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every setting is described with its origin, and a secret only as set or not set."""
    secret_file(tmp_path, monkeypatch, "jitprov_client_secret", "hush-hush")
    (tmp_path / ".env").write_text("JITPROV_CLIENT_ID=someone\n")
    monkeypatch.setenv("JITPROV_ATTEMPTS_MAX", "9")

    described = {item["variable"]: item for item in describe_settings(read_settings())}

    origins = {name: described[f"JITPROV_{name}"]["origin"] for name in ("CLIENT_SECRET", "CLIENT_ID", "ATTEMPTS_MAX")}
    assert origins == {"CLIENT_SECRET": "secret file", "CLIENT_ID": ".env", "ATTEMPTS_MAX": "environment"}
    assert described["JITPROV_ATTEMPTS_MAX"]["value"] == "9"
    assert described["JITPROV_CLIENT_SECRET"]["value"] == "(set)"
    assert described["JITPROV_WEBHOOK_KEY"] == described["JITPROV_WEBHOOK_KEY"] | {
        "value": "(not set)",
        "origin": "default",
    }
    assert "hush" not in str(described)
    assert all(item["description"] for item in described.values())


def test_a_misspelt_variable_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable of our prefix that no setting reads is told with the one that was probably meant; the rest is not."""
    monkeypatch.setenv("JITPROV_REGON", "mypurecloud.de")
    monkeypatch.setenv("JITPROV_QQQQQQQQQ", "1")
    monkeypatch.setenv("JITPROV_REGION", "mypurecloud.de")
    monkeypatch.setenv("JITPROV_TAG", "0.1.0")

    assert misspelt_variables() == {"JITPROV_REGON": "JITPROV_REGION", "JITPROV_QQQQQQQQQ": ""}


def test_all_secrets_are_known_for_masking() -> None:
    """Every secret that is set is told to whoever masks them, the password in Redis' address on its own too."""
    chosen = read_settings(client_secret="one", data_key="two", redis_url="redis://worker:three@127.0.0.1/0")

    assert set(chosen.secret_values()) == {"one", "two", "three", "redis://worker:three@127.0.0.1/0"}
