"""The only reader of the environment: every setting, with its unit, bound and reason.

Sources, the first that speaks wins: environment `JITPROV_*`, a `.env` file, one file per secret in the secrets
folder (`/run/secrets` or `JITPROV_SECRETS_DIR`; file name = setting's variable in lower case), the default here.
"""

from __future__ import annotations

import os
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import parse_qs, urlsplit

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from jitprov.errors import ConfigurationError

PREFIX = "JITPROV_"

# Region domain → AWS region, as in the official SDKs' PureCloudRegionHosts and the official Terraform provider; the API
# lives at api.<domain>, logins at login.<domain>.
REGIONS: dict[str, str] = {
    "mypurecloud.com": "us-east-1",
    "use2.us-gov-pure.cloud": "us-east-2 (FedRAMP)",
    "usw2.pure.cloud": "us-west-2",
    "cac1.pure.cloud": "ca-central-1",
    "sae1.pure.cloud": "sa-east-1",
    "mypurecloud.ie": "eu-west-1",
    "euw2.pure.cloud": "eu-west-2",
    "mypurecloud.de": "eu-central-1",
    "euc2.pure.cloud": "eu-central-2",
    "aps1.pure.cloud": "ap-south-1",
    "mypurecloud.jp": "ap-northeast-1",
    "apne2.pure.cloud": "ap-northeast-2",
    "apne3.pure.cloud": "ap-northeast-3",
    "mypurecloud.com.au": "ap-southeast-2",
    "apse1.pure.cloud": "ap-southeast-1",
    "mec1.pure.cloud": "me-central-1",
    "mxc1.pure.cloud": "mx-central-1",
    "edee1.eusc-pure.cloud": "eusc-de-east-1 (European sovereign cloud)",
}

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
KEY_CHARS_MIN = 32
# Variables of our prefix that are no settings: where the secrets lie, and the image's tag in docker-compose.yml.
_READ_ELSEWHERE = (f"{PREFIX}SECRETS_DIR", f"{PREFIX}TAG")

Words = Annotated[tuple[str, ...], NoDecode]


class Settings(BaseSettings):
    """All settings of all parts; frozen. `jitprov doctor` prints each with its origin, secrets masked."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    # --- where things are -----------------------------------------------------------------------------------
    data_dir: Path = Field(
        default=Path(".jitprov"),
        description="Folder of the embedded stack: Redis' data, Flower's history, generated keys.",
    )
    redis_url: SecretStr = Field(
        default=SecretStr("redis://127.0.0.1:6379/0"),
        description="Broker, ledger and budget. One instance, one failure domain. For TLS rediss://, and "
        "?ssl_ca_certs=FILE where the server's CA is none that this machine knows.",
    )
    ledger_memory: Path | None = Field(
        default=None,
        description="File that remembers which ledger this installation works with, outside of Redis; unset, only "
        "running processes remember, and a Redis that comes back empty to a restarted receiver passes for a new one.",
    )
    key_prefix: str = Field(
        default="jitprov:", pattern=r"^[a-z0-9:_-]{1,40}$", description="Prefix of every Redis key of jitprov's own."
    )

    data_key: SecretStr = Field(
        default=SecretStr(""),
        description="Seals names and addresses in Redis; at least 32 random characters. Of worker, receiver, commands.",
    )
    data_key_old: SecretStr = Field(
        default=SecretStr(""), description="The key before: still opens what it sealed, while you rotate."
    )

    # --- Genesys Cloud --------------------------------------------------------------------------------------
    region: str = Field(default="mypurecloud.com", description="Domain of the organization's region.")
    client_id: str = Field(default="", description="OAuth client (client credentials) of this integration.")
    client_secret: SecretStr = Field(default=SecretStr(""), description="Its secret.")
    api_url: str = Field(default="", description="Only for a sandbox: replaces https://api.<region> and login.")
    time_scale: float = Field(
        default=1.0, ge=1.0, le=600.0, description="Only for a sandbox: API seconds per real second."
    )
    connect_timeout_s: float = Field(default=3.0, gt=0, le=30, description="Connecting to the API.")
    read_timeout_s: float = Field(default=10.0, gt=0, le=60, description="Between two bytes of an answer.")
    station_source: Literal["auto", "line_id", "lookup"] = Field(
        default="auto", description="Where a station id comes from; auto finds out whether the line id is one."
    )
    station_first_look_s: float = Field(
        default=6.0,
        ge=0,
        le=60,
        description="Wait after making a phone before its station is looked for, until a better one was learned.",
    )

    # --- budget ---------------------------------------------------------------------------------------------
    api_limit_per_min: int = Field(
        default=300,
        ge=6,
        le=100_000,
        description="Requests per minute that Genesys allows one token. More is never used, even if the API's answers "
        "allow it; less is.",
    )
    api_tokens: int = Field(
        default=1,
        ge=1,
        le=50,
        description="Access tokens of this client, each with a limit of its own. Genesys' rule of fair use is one "
        "token per integration: more can throttle the whole organization, or have the client shut down. Ask first.",
    )
    breaker_failures: int = Field(
        default=10,
        ge=2,
        le=1000,
        description="Failures of the API in a row, of all workers together, after which nothing but probes is sent.",
    )
    api_headroom: float = Field(
        default=0.02, ge=0.0034, le=0.9, description="Share of the limit left unused, so that jitter never breaks it."
    )
    api_burst: int = Field(
        default=0,
        ge=0,
        description="Calls that may leave at once after idling; lowers the even rate (rate x 60 + burst <= limit).",
    )
    budget_wait_max_s: float = Field(
        default=20.0,
        gt=0,
        le=40,
        description="Longest wait for a slot inside a worker; longer waits go back to the queue.",
    )

    # --- rules ----------------------------------------------------------------------------------------------
    rules_file: Path | None = Field(default=None, description="rules.yaml; the shipped seasonal rules when unset.")

    # --- receiver -------------------------------------------------------------------------------------------
    receiver_host: str = Field(default="127.0.0.1", description="Address to listen on.")
    receiver_port: int = Field(default=8080, ge=0, le=65535, description="Port to listen on.")
    webhook_key: SecretStr = Field(
        default=SecretStr(""), description="Key that EventBridge sends; at least 32 characters."
    )
    webhook_key_next: SecretStr = Field(default=SecretStr(""), description="Second active key, for rotation.")
    webhook_signing_secret: SecretStr = Field(
        default=SecretStr(""),
        description="Secret of senders that sign after Standard Webhooks (whsec_ and base64); EventBridge does not.",
    )
    webhook_signing_secret_next: SecretStr = Field(
        default=SecretStr(""), description="Second active signing secret, for rotation."
    )
    webhook_header: str = Field(
        default="X-API-Key", pattern=r"^[A-Za-z0-9-]{1,64}$", description="Header that carries the key."
    )
    forwarded_header: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9-]{0,64}$",
        description="Header in which the proxy in front names the sender, such as X-Forwarded-For; wrong keys are "
        "counted by its last entry. Only when nobody can go around the proxy; empty: by the connection's address.",
    )
    operator_key: SecretStr = Field(
        default=SecretStr(""), description="Key of board and operator API; at least 32 characters."
    )
    viewer_key: SecretStr = Field(
        default=SecretStr(""), description="Second key that may look and not act, for team leads; none when unset."
    )
    body_max_bytes: int = Field(default=1_048_576, ge=1024, le=8_388_608, description="Larger bodies get 413.")
    start_entity_types: Words = Field(default=("User",), description="Entity types whose events start a provisioning.")
    start_actions: Words = Field(
        default=("Create", "Restore", "RestoreDeleted"),
        description="Actions that start a provisioning, of whomever; Create once per agent, any other each time.",
    )
    later_actions: Words = Field(
        default=("Update", "Activate", "Deactivate", "Delete"),
        description="Actions that start one by difference, of agents whom jitprov knows; none when empty.",
    )
    later_properties: Words = Field(
        default=("department", "title", "division", "email", "state"),
        description="An Update that says what it changed, and nothing whose name holds one of these words, is ignored.",
    )

    # --- pipeline -------------------------------------------------------------------------------------------
    worker_concurrency: int = Field(
        default=8, ge=1, le=256, description="Slots per worker; latency x rate + 2 is enough."
    )
    valve_per_min: int = Field(
        default=0,
        ge=0,
        description="Starts per minute (Celery's rate_limit) of each step that calls the API, per worker; "
        "0 takes the API's limit.",
    )
    attempts_max: int = Field(default=6, ge=1, le=50, description="Attempts of one step before it fails.")
    backoff_base_s: float = Field(default=2.0, gt=0, le=60, description="Ceiling of the first backoff.")
    backoff_cap_s: float = Field(default=60.0, gt=0, le=600, description="Ceiling of any backoff.")
    settle_s: float = Field(default=15.0, ge=0, le=120, description="Wait after an uncertain create before looking.")
    waited_max_s: float = Field(
        default=3600.0, gt=0, description="Longest total wait of one step for something of its own, pauses included."
    )
    profile_wait_max_s: float = Field(
        default=600.0,
        ge=0,
        le=86_400,
        description="How long a new agent without department and title may wait for them; then the rules decide.",
    )
    station_wait_max_s: float = Field(default=300.0, gt=0, description="Longest total wait for a station to appear.")
    lease_s: float = Field(
        default=60.0,
        ge=5,
        le=280,
        description="From a create on; who is silent for a tenth of it, 2 s at least, counts as dead.",
    )
    reconcile_every_s: float = Field(default=5.0, gt=0, le=60, description="Pause between two looks of the reconciler.")
    message_grace_s: float = Field(
        default=20.0,
        ge=1,
        le=600,
        description="How long a message may be on its way before the reconciler looks for it.",
    )
    keep_ended_days: float = Field(
        default=30.0,
        ge=15,
        description="How long ended provisionings and event ids are kept (SQS keeps dead letters 14 days).",
    )

    # --- missed events -------------------------------------------------------------------------------------
    missed_every_s: float = Field(
        default=0.0,
        ge=0,
        le=86_400,
        description="Pause between two looks of the reconciler into the organization's audits for users whose event "
        "never came; 0 never looks. Two to a few calls each; the reconciler then needs JITPROV_CLIENT_SECRET.",
    )
    missed_overlap_s: float = Field(
        default=3600.0,
        ge=300,
        le=604_800,
        description="How far each look goes back beyond the last one: longer than audits take to become visible.",
    )

    # --- drift ---------------------------------------------------------------------------------------------
    drift_every_s: float = Field(
        default=0.0,
        ge=0,
        le=604_800,
        description="Pause between two looks of the reconciler how far agents have drifted; 0 never looks. About 20 "
        "calls for 1,000 agents each; the reconciler then needs JITPROV_CLIENT_SECRET and JITPROV_DATA_KEY.",
    )

    # --- alerts ---------------------------------------------------------------------------------------------
    alert_webhook_url: SecretStr = Field(
        default=SecretStr(""),
        description="Where the reconciler posts alerts, as Slack-compatible JSON; unset, only /metrics has them.",
    )
    alert_expect_sign_ins: str = Field(
        default="",
        description="When sign-ins are expected, such as `Mon-Fri 08:45-09:30, Sat 10:00-12:00`; silence then rings.",
    )
    alert_time_zone: str = Field(default="UTC", description="Time zone of that schedule, such as Europe/Berlin.")
    alert_silence_s: float = Field(
        default=600.0, ge=60, le=86_400, description="Without an event while sign-ins are expected, until it rings."
    )
    alert_failed_share: float = Field(
        default=0.05, gt=0, le=1, description="Share of failed among those that ended in 5 minutes, five at least."
    )
    alert_paused_s: float = Field(
        default=300.0, ge=10, le=86_400, description="How long the budget may be paused until it rings."
    )
    alert_refused_share: float = Field(
        default=0.2, gt=0, le=1, description="Share of refused among the deliveries of 5 minutes, five at least."
    )
    alert_republished: int = Field(
        default=100, ge=1, description="Chains that the reconciler sent again in 5 minutes, until it rings."
    )

    # --- Flower ---------------------------------------------------------------------------------------------
    flower_host: str = Field(default="127.0.0.1", description="Address of Flower; keep it behind a proxy.")
    flower_port: int = Field(default=5555, ge=0, le=65535, description="Port of Flower.")
    flower_url: str = Field(
        default="",
        description="Where operators reach Flower, for links on the board; its host and port when unset.",
    )
    board_url: str = Field(
        default="",
        description="Where operators reach the board, for links in Flower; the receiver's host and port when unset. "
        "Flower itself asks the board at the receiver's host and port.",
    )

    # --- traces ---------------------------------------------------------------------------------------------
    otel_endpoint: str = Field(
        default="",
        description="Collector that takes traces as OTLP over HTTP, such as http://collector:4318; none when unset. "
        "Needs the extra jitprov[otel].",
    )
    otel_headers: SecretStr = Field(
        default=SecretStr(""), description="What that collector asks for: name=value, with commas between."
    )
    otel_sample_ratio: float = Field(
        default=1.0, ge=0, le=1, description="Share of provisionings that are traced; whole ones, in all parts alike."
    )

    # --- embedded stack -------------------------------------------------------------------------------------
    redis_server: str = Field(default="", description="Path of redis-server for the embedded stack; found when unset.")
    redis_port: int = Field(default=0, ge=0, le=65535, description="Port of the embedded Redis; 0 takes a free one.")
    sandbox_port: int = Field(
        default=0, ge=0, le=65535, description="Port of the embedded sandbox; 0 takes a free one."
    )

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(default="INFO", description="Least level logged.")

    @model_validator(mode="before")
    @classmethod
    def _split_words(cls, values: dict[str, object]) -> dict[str, object]:
        for name in ("start_entity_types", "start_actions", "later_actions", "later_properties"):
            given = values.get(name)
            if isinstance(given, str):
                values[name] = tuple(word.strip() for word in given.split(",") if word.strip())
        return values

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.api_url:
            parts = urlsplit(self.api_url)
            if parts.scheme not in {"http", "https"} or parts.hostname not in _LOOPBACK:
                msg = (
                    "JITPROV_API_URL: only a sandbox on this machine (http://127.0.0.1:PORT). "
                    "For Genesys Cloud set JITPROV_REGION"
                )
                raise ValueError(msg)
        elif self.time_scale != 1.0:
            msg = "JITPROV_TIME_SCALE: only with a sandbox (JITPROV_API_URL). Unset it"
            raise ValueError(msg)
        if self.region not in REGIONS:
            msg = f"JITPROV_REGION: unknown domain. Known: {', '.join(sorted(REGIONS))}"
            raise ValueError(msg)
        if urlsplit(self.redis_url.get_secret_value()).scheme not in {"redis", "rediss", "unix"}:
            msg = "JITPROV_REDIS_URL: must begin with redis://, rediss:// or unix://"
            raise ValueError(msg)
        if (self.redis_tls or {}).get("ssl_cert_reqs", "required") != "required":
            msg = (
                "JITPROV_REDIS_URL: ssl_cert_reqs other than required would take any server for ours. Leave it out, "
                "and name the CA with ssl_ca_certs=FILE"
            )
            raise ValueError(msg)
        self._check_addresses()
        # Whoever takes over from a worker that died in a create looks first, and must see what was made.
        if self.lease_s <= self.connect_timeout_s + self.read_timeout_s + self.settle_s / self.time_scale:
            msg = (
                "JITPROV_LEASE_S: must be longer than JITPROV_CONNECT_TIMEOUT_S, JITPROV_READ_TIMEOUT_S and "
                "JITPROV_SETTLE_S together: a request, and what it makes unseen, must not outlive the right to send it"
            )
            raise ValueError(msg)
        if self.api_burst >= self.api_limit_per_min * (1 - self.api_headroom):
            msg = "JITPROV_API_BURST: leaves no even rate; make it smaller than the limit less the headroom"
            raise ValueError(msg)
        return self

    def _check_addresses(self) -> None:
        addresses = {"ALERT_WEBHOOK_URL": self.alert_webhook_url.get_secret_value(), "BOARD_URL": self.board_url}
        addresses["OTEL_ENDPOINT"] = self.otel_endpoint
        for name, address in addresses.items():
            if address and not _is_web_address(address):
                raise ValueError(f"JITPROV_{name}: must begin with https:// or http:// and name a host")

    @property
    def api_base_url(self) -> str:
        """Base of the platform API, without a trailing slash."""
        return self.api_url.rstrip("/") or f"https://api.{self.region}"

    @property
    def leave_within_s(self) -> float:
        """How long after a lease was seen to be held a create may leave, and the kernel may take to send it.

        Twice this, the request and the wait until what it made can be seen end with the lease.
        """
        settled_s = self.connect_timeout_s + self.read_timeout_s + self.settle_s / self.time_scale
        return (self.lease_s - settled_s) / 2

    @property
    def login_base_url(self) -> str:
        """Base of the login host, without a trailing slash."""
        return self.api_url.rstrip("/") or f"https://login.{self.region}"

    def secret_values(self) -> tuple[str, ...]:
        """Return every secret that is set, the password inside Redis' address too, for masking."""
        secrets = [value for name in type(self).model_fields if isinstance(value := getattr(self, name), SecretStr)]
        password = urlsplit(self.redis_url.get_secret_value()).password
        return tuple(filter(None, [*(secret.get_secret_value() for secret in secrets), password]))

    @property
    def redis_tls(self) -> dict[str, str] | None:
        """What `rediss://` asks for, by redis-py's names; None without TLS. Certificates are always checked."""
        url = urlsplit(self.redis_url.get_secret_value())
        if url.scheme != "rediss":
            return None
        given = {name: values[-1] for name, values in parse_qs(url.query).items() if name.startswith("ssl_")}
        return {"ssl_cert_reqs": "required", **given}

    @property
    def valve_rate_per_min(self) -> int:
        """Starts per real minute that a worker's valve allows each step that calls the API."""
        return self.valve_per_min or round(self.api_limit_per_min * self.time_scale)

    @property
    def webhook_keys(self) -> tuple[str, ...]:
        """The active webhook keys, one or two."""
        keys = (self.webhook_key.get_secret_value(), self.webhook_key_next.get_secret_value())
        return tuple(key for key in keys if key)

    @property
    def signing_secrets(self) -> tuple[str, ...]:
        """The active signing secrets; none when senders do not sign."""
        both = (self.webhook_signing_secret, self.webhook_signing_secret_next)
        return tuple(secret.get_secret_value() for secret in both if secret.get_secret_value())


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none, a broken address
        return False


def _secrets_dir() -> Path | None:
    named = os.environ.get(f"{PREFIX}SECRETS_DIR")
    folder = Path(named or "/run/secrets")
    return folder if folder.is_dir() else None


def read_settings(**given: object) -> Settings:
    """Read the settings from the environment and files.

    Args:
        **given: Values that win over every source.

    Raises:
        ConfigurationError: Names each wrong setting and its variable; never shows a value.
    """
    try:
        # pydantic-settings' own keywords, which its type does not show
        return Settings(_secrets_dir=_secrets_dir(), **given)  # type: ignore[call-arg, arg-type]
    except ValidationError as error:
        lines = []
        for item in error.errors(include_input=False, include_url=False):
            name = "_".join(str(part) for part in item["loc"])
            where = f"{PREFIX}{name.upper()}: " if name else ""
            lines.append(f"{where}{item['msg'].removeprefix('Value error, ')}")
        raise ConfigurationError("; ".join(lines)) from None


@cache
def settings() -> Settings:
    """Return this process' settings, read once."""
    return read_settings()


def misspelt_variables() -> dict[str, str]:
    """Return each variable that looks like a setting and is none → the nearest setting's; empty when none is near."""
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields} | set(_READ_ELSEWHERE)
    strange = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)
    return {name: next(iter(get_close_matches(name, sorted(known), n=1)), "") for name in strange}


def files_mark() -> tuple[tuple[str, int, int, int], ...]:
    """Return something that differs when a file that settings are read from has changed, come or gone."""
    folder = _secrets_dir()
    files = [Path(".env"), *(sorted(folder.glob(f"{PREFIX.lower()}*")) if folder else ())]
    marks = []
    for file in files:
        try:
            seen = file.stat()
        except OSError:
            continue
        marks.append((str(file), seen.st_ino, seen.st_mtime_ns, seen.st_size))
    return tuple(marks)


def process_environment() -> dict[str, str]:
    """Return a copy of this process' environment, to hand to child processes."""
    return dict(os.environ)


def describe_settings(chosen: Settings) -> list[dict[str, str]]:
    """Return every setting with its variable, value (secrets masked), origin and description, in the order above."""
    dotenv = dotenv_values(".env") if Path(".env").is_file() else {}
    folder = _secrets_dir()
    described = []
    for name, info in Settings.model_fields.items():
        variable = f"{PREFIX}{name}".upper()
        value = getattr(chosen, name)
        if variable in {key.upper() for key in os.environ}:
            origin = "environment"
        elif variable in {key.upper() for key in dotenv}:
            origin = ".env"
        elif folder and (folder / variable.lower()).is_file():
            origin = "secret file"
        else:
            origin = "default"
        shown = ("(set)" if value.get_secret_value() else "(not set)") if isinstance(value, SecretStr) else str(value)
        described.append(
            {"variable": variable, "value": shown, "origin": origin, "description": info.description or ""}
        )
    return described
