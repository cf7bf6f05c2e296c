"""What a stand-in organization can be told to be: rate limit, lags, unverified behaviours, webhook.

Frozen values; a live change makes a new object. Refuses unknown names and wrong types, so that a misspelt option
never passes for a default. Reads no environment and no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, Self, get_args

WindowKind = Literal["fixed", "sliding"]
StartState = Literal["active", "inactive"]

_AT_START_ONLY = frozenset({"host", "port", "control_port", "seed"})
_PAIRS = frozenset({"station_lag_s", "assignment_lag_s"})
_NULLABLE_TEXT = frozenset({"webhook_url"})
_CHOICES: dict[str, tuple[str, ...]] = {"window": get_args(WindowKind), "sign_in_state": get_args(StartState)}
_FLOORS: dict[str, float] = {
    "time_scale": 0.001,
    "limit_per_min": 1,
    "token_lifetime_s": 1,
    "webhook_timeout_s": 0.01,
    "webhook_concurrency": 1,
    "webhook_attempts_max": 1,
    "webhook_retry_base_s": 0.001,
    "journal_entries_max": 1,
}
_SHARES = frozenset({"version_conflict_share"})
_STATUSES = frozenset({400, 404})


class OptionError(ValueError):
    """An option is unknown, of the wrong type, out of bounds, or cannot change while the sandbox runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxOptions:
    """Every option of the sandbox. Seconds are sandbox seconds unless a field says real.

    Attributes:
        host: Address both ports listen on.
        port: Data port; 0 takes a free one.
        control_port: Control port; 0 takes a free one.
        time_scale: Sandbox seconds per real second; 60 makes a one-minute window last one real second.
        seed: Decides every id, invented name and drawn number.
        limit_per_min: Requests one token may make in 60 s; what `inin-ratelimit-allowed` says.
        window: `fixed` is opened by a token's first request; `sliding` looks back 60 s from each request.
        background_per_min: Requests that others are pretended to make with the same token in each window.
        token_calls_count: Whether fetching a token is the first request of that token's window.
        token_requests_per_min: Limit of the token endpoint itself; 0 means none.
        client_id: The one OAuth client that exists.
        client_secret: Its secret.
        token_lifetime_s: Lifetime of a token and value of `expires_in`.
        line_id_is_station_id: Whether a station has the id of its phone's first line.
        station_lag_s: Shortest and longest time until a new station shows in the listing.
        phone_listing_lag_s: Time until a new phone shows in the listing.
        deleted_phones_listed: Whether the phone listing keeps showing deleted phones, state `deleted`.
        unique_phone_names: Whether a phone name that is in use is refused.
        one_webrtc_phone_per_user: Whether a second WebRTC phone of a user is refused.
        default_for_user_sets_default: Whether `lines[0].defaultForUser` in a new phone sets the default station.
        default_station_needs_visible_station: Whether a station must be in the listing before it can be assigned.
        assignment_lag_s: Shortest and longest time between the 202 of a station assignment and its effect.
        unknown_skill_status: Answer to an assignment naming an unknown skill or language: 400 or 404.
        skills_need_active_user: Whether skills of an inactive user are refused.
        version_conflict_share: Share of user and skill writes that meet a made-up concurrent change (409).
        sign_in_state: State of users made by the control port's sign-in when it does not say.
        audits_in_realtime: Whether the realtime query of audits knows the directory.
        audit_lag_s: Time until an audit is found by queries; events are posted at once.
        audit_query_s: How long the other query of audits takes.
        announce_changes: Whether changes of users by the API are posted too, those of the client itself included.
        webhook_url: Where user events are posted; none are posted when unset.
        webhook_key: Value of the key header.
        webhook_header: Name of the key header.
        webhook_timeout_s: Real seconds until a delivery attempt is given up.
        webhook_pooled: Whether deliveries reuse connections, rather than sending `Connection: close`.
        webhook_concurrency: Deliveries under way at once.
        webhook_attempts_max: Attempts until an event goes to the dead letters.
        webhook_retry_base_s: Real seconds the first retry waits at most; doubled each time, up to 30 s.
        journal_entries_max: Requests the journal remembers.
    """

    host: str = "127.0.0.1"
    port: int = 0
    control_port: int = 0
    time_scale: float = 1.0
    seed: int = 1
    limit_per_min: int = 300
    window: WindowKind = "fixed"
    background_per_min: int = 0
    token_calls_count: bool = False
    token_requests_per_min: int = 0
    client_id: str = "sandbox-client"
    client_secret: str = "sandbox-secret"  # noqa: S105  a stand-in's secret guards nothing
    token_lifetime_s: int = 86_400
    line_id_is_station_id: bool = False
    station_lag_s: tuple[float, float] = (2.0, 6.0)
    phone_listing_lag_s: float = 0.0
    deleted_phones_listed: bool = False
    unique_phone_names: bool = True
    one_webrtc_phone_per_user: bool = False
    default_for_user_sets_default: bool = False
    default_station_needs_visible_station: bool = False
    assignment_lag_s: tuple[float, float] = (0.1, 0.5)
    unknown_skill_status: int = 400
    skills_need_active_user: bool = False
    version_conflict_share: float = 0.0
    sign_in_state: StartState = "active"
    audits_in_realtime: bool = True
    audit_lag_s: float = 0.0
    audit_query_s: float = 3.0
    announce_changes: bool = False
    webhook_url: str | None = None
    webhook_key: str = ""
    webhook_header: str = "X-API-Key"
    webhook_timeout_s: float = 5.0
    webhook_pooled: bool = False
    webhook_concurrency: int = 50
    webhook_attempts_max: int = 185
    webhook_retry_base_s: float = 0.2
    journal_entries_max: int = 50_000

    def __post_init__(self) -> None:
        """Check every value once, whichever way it came."""
        for field in fields(self):
            _check(field.name, getattr(self, field.name))

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> Self:
        """Return the options that a JSON object describes; names left out keep their default.

        Raises:
            OptionError: A name is unknown or a value does not fit.
        """
        return cls(**_typed(cls(), values))

    def changed(self, values: Mapping[str, object]) -> Self:
        """Return these options with `values` laid over them, for a change while the sandbox runs.

        Raises:
            OptionError: As `from_json`, and for options that are fixed at start.
        """
        fixed = sorted(_AT_START_ONLY & values.keys())
        if fixed:
            message = f"fixed at start: {', '.join(fixed)}"
            raise OptionError(message)
        return replace(self, **_typed(self, values))

    def to_json(self) -> dict[str, Any]:
        """Return every option by name; pairs become lists of two."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def _typed(sample: SandboxOptions, values: Mapping[str, object]) -> dict[str, Any]:
    known = {field.name: getattr(sample, field.name) for field in fields(sample)}
    typed: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            message = f"unknown option: {name}"
            raise OptionError(message)
        typed[name] = tuple(value) if name in _PAIRS and isinstance(value, list) else value
    return typed


def _check(name: str, value: object) -> None:
    if not _fits(name, value):
        message = f"option {name}: {value!r} does not fit"
        raise OptionError(message)


def _fits(name: str, value: object) -> bool:
    if name in _PAIRS:
        return _is_lag(value)
    if name in _CHOICES:
        return value in _CHOICES[name]
    if name == "unknown_skill_status":
        return value in _STATUSES
    default = SandboxOptions.__dataclass_fields__[name].default
    if isinstance(default, bool):
        return isinstance(value, bool)
    if isinstance(default, int | float):
        return _is_number(name, value, whole=isinstance(default, int))
    return isinstance(value, str) or (value is None and name in _NULLABLE_TEXT)


def _is_number(name: str, value: object, *, whole: bool) -> bool:
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        return False
    if name in _SHARES and value > 1:
        return False
    return name == "seed" or value >= _FLOORS.get(name, 0)


def _is_lag(value: object) -> bool:
    if not isinstance(value, tuple) or len(value) != 2:  # noqa: PLR2004  shortest and longest
        return False
    return (
        all(isinstance(part, int | float) and not isinstance(part, bool) for part in value)
        and 0 <= value[0] <= value[1]
    )
