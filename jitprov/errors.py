"""Every error of jitprov, sorted by what whoever catches it must do.

    JitprovError
    ├── ConfigurationError        a setting or file is wrong: the operator mends it      exit code 5
    ├── DependencyDown            Redis or another part is away: wait, then again        exit code 6
    │   └── LedgerLost            the ledger was emptied, set back or exchanged: a human must say how to go on
    ├── EventInvalid              the sender's body: answer 400, keep it in quarantine
    ├── AssertionUnreadable       no SAML assertion, or none that can be read safely: save another
    ├── LeaseLost                 another worker holds the step: stop without a trace
    └── StepError                 an attempt of a step ended without its result
        ├── NotNow                nothing is wrong: wait, no attempt is spent
        │   ├── BudgetDenied      the next slot is far, the meter is away
        │   │   └── CallsHeldUp   the token is paused or the circuit open, for longer than a slot is waited for
        │   ├── RateLimited       the API answered 429
        │   ├── NotLetIn          the login host refused the OAuth client, or the API a fresh token
        │   ├── StationLate       the station is not visible yet
        │   ├── ProfileIncomplete  no department and no title yet: an update event, or the time, ends the wait
        │   ├── PartAway          Redis was away in the middle of a step, or too busy
        │   ├── DataKeyWrong      this worker's key does not open what lies sealed of the agent
        │   ├── WorkerStops       this worker was told to stop while the step waited
        │   └── StoodStill        this worker stood still too long to be sure of its lease
        ├── TryAgain              spends an attempt, waits with backoff
        │   ├── Unavailable       5xx or silence on a call that is safe to repeat
        │   ├── OutcomeUnknown    5xx or silence on a create: look before creating again
        │   ├── NotYetConsistent  404 right after a create, or a version conflict
        │   └── Broken            a defect of ours, or the step's time limit
        └── Final                 ends the provisioning; a human must mend something
            ├── Refused           400, 403, or 401 with a fresh token
            ├── AgentGone         the user is deleted or was never there
            ├── SkillUnknown      the rules name a skill that the organization lacks
            ├── NameUnknown       the rules name a language, division, role, group or queue that it lacks
            ├── NoRuleMatched     no rule covers this agent
            ├── SetupMissing      no WebRTC phone base, no default site …
            └── WorkerDied        the step ended its worker again and again

Text of an error is for people and logs: it never holds a secret, a token or an agent's name or address.
"""

from __future__ import annotations

from typing import ClassVar


class JitprovError(Exception):
    """Something of jitprov's own went wrong; the text says what, why and what to do."""


class ConfigurationError(JitprovError):
    """A setting, key or file is missing or wrong."""


class DependencyDown(JitprovError):
    """A part that jitprov needs does not answer."""


class LedgerLost(DependencyDown):
    """The ledger that answers is not the one that was worked with, and nobody has acknowledged that."""


class EventInvalid(JitprovError):
    """The body is not an event that jitprov can take.

    Args:
        field: Where, as a path (`detail.eventBody.entity.id`), or `body`.
        cause: What is wrong with it.
        remedy: What the sender has to change.
    """

    def __init__(self, field: str, cause: str, remedy: str) -> None:
        super().__init__(f"{field}: {cause}. {remedy}")
        self.field = field
        self.cause = cause
        self.remedy = remedy


class AssertionUnreadable(JitprovError):
    """What was saved is no SAML assertion, or none that can be read safely; the text quotes nothing of it.

    Args:
        cause: What is wrong with it.
        remedy: What to save instead.
    """

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(f"this is no assertion that can be read: {cause}. {remedy}")
        self.cause = cause
        self.remedy = remedy


class StepError(JitprovError):
    """An attempt of a step ended without its result.

    Args:
        message: What happened, without personal data.
        http_status: The API's status; None when there was no answer.
        correlation_id: `ININ-Correlation-Id` of the answer, for Genesys' support.
        remedy: What to do next, when it differs from the class' own.
    """

    code: ClassVar[str] = "step_error"
    retry_helps: ClassVar[bool] = True
    default_remedy: ClassVar[str] = "Retry it: jitprov retry ID"

    def __init__(
        self,
        message: str,
        *,
        http_status: int | None = None,
        correlation_id: str | None = None,
        remedy: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.http_status = http_status
        self.correlation_id = correlation_id
        self.remedy = remedy or self.default_remedy


class NotNow(StepError):
    """Nothing is wrong with the agent: the step waits `wait_s` seconds and no attempt is spent.

    Attributes:
        fails_in_time: True when such waits end the provisioning after the longest total wait; False when what is
            waited for holds up everybody, so that nobody must fail one by one for it.
        keeps_its_place: True when the wait was spent in place already: the message goes back to the front of its
            queue, so that who came first is still first when it goes on.
        parks: True when an event may end the wait before its time.
    """

    code = "not_now"
    fails_in_time: ClassVar[bool] = False
    keeps_its_place: ClassVar[bool] = False
    parks: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        wait_s: float,
        http_status: int | None = None,
        correlation_id: str | None = None,
        remedy: str | None = None,
    ) -> None:
        super().__init__(message, http_status=http_status, correlation_id=correlation_id, remedy=remedy)
        self.wait_s = wait_s


class BudgetDenied(NotNow):
    """The shared budget gave no slot in time; nothing was sent."""

    code = "budget_denied"
    default_remedy = "It goes on by itself; `jitprov budget` shows why calls are held back."


class CallsHeldUp(BudgetDenied):
    """Nobody gets a slot for longer than one is waited for: the token is paused, or the circuit open."""

    code = "calls_held_up"
    keeps_its_place = True


class RateLimited(NotNow):
    """The API answered 429; nothing was applied."""

    code = "rate_limited"
    default_remedy = "It goes on by itself; if it recurs, something else uses the same token."


class NotLetIn(NotNow):
    """The login host refused the OAuth client, or the API a fresh token: nobody gets anywhere, so everybody waits."""

    code = "not_let_in"
    default_remedy = (
        "Check JITPROV_CLIENT_ID, JITPROV_CLIENT_SECRET and JITPROV_REGION, and restart the workers if you change one; "
        "it goes on by itself within two minutes, at once after `jitprov budget resume`."
    )


class StationLate(NotNow):
    """The phone exists, its station is not visible yet."""

    code = "station_late"
    fails_in_time = True
    default_remedy = "Look at the phone in Genesys Cloud, then: jitprov retry ID"


class ProfileIncomplete(NotNow):
    """Neither department nor title is filled in yet, and the rules look at them."""

    code = "profile_incomplete"
    parks = True
    default_remedy = (
        "Fill in department or title in Genesys Cloud: its update event lets it go on at once. After "
        "JITPROV_PROFILE_WAIT_MAX_S the rules decide as they are (`unmatched`)."
    )


class PartAway(NotNow):
    """A part that the step needs did not answer; nothing was sent after that."""

    code = "dependency_down"
    default_remedy = "It goes on by itself once Redis answers; `jitprov doctor` shows what is away."


class DataKeyWrong(NotNow):
    """What was found of the agent is sealed with a key that this worker does not have; nothing was begun."""

    code = "data_key_wrong"
    default_remedy = "Give all workers the key that sealed it, as JITPROV_DATA_KEY or JITPROV_DATA_KEY_OLD."


class WorkerStops(NotNow):
    """This worker was told to stop while the step waited; nothing was sent, another worker goes on at once."""

    code = "worker_stops"
    default_remedy = "It goes on by itself, on another worker."


class StoodStill(NotNow):
    """This worker stood still between its right to send and the sending; nothing left, another goes on."""

    code = "stood_still"
    default_remedy = "It goes on by itself; if it recurs, the workers' machine swaps, or is stopped for seconds."


class TryAgain(StepError):
    """Spends an attempt; worth repeating after a backoff."""

    code = "try_again"
    default_remedy = "Check status.mypurecloud.com, then: jitprov retry ID"


class Unavailable(TryAgain):
    """5xx, a broken or missing answer, on a call that is safe to repeat."""

    code = "unavailable"


class OutcomeUnknown(TryAgain):
    """5xx, a broken or missing answer, on a create: it may have been applied."""

    code = "outcome_unknown"


class NotYetConsistent(TryAgain):
    """A 404 on something that was just made, or a version conflict."""

    code = "not_yet_consistent"


class Final(StepError):
    """Ends the provisioning; repeating it changes nothing until a human mends the cause."""

    code = "final"
    retry_helps = False


class Refused(Final):
    """The API refused the request itself: 400, 403, or 401 with a fresh token."""

    code = "refused"
    default_remedy = "Check the OAuth client's roles and divisions (`jitprov doctor`), then: jitprov retry ID"


class AgentGone(Final):
    """The user is deleted, or the API does not know it."""

    code = "agent_gone"
    default_remedy = "Nothing to do if the user was deleted; otherwise: jitprov retry ID"


class SkillUnknown(Final):
    """The rules name a routing skill that the organization does not have."""

    code = "skill_unknown"
    default_remedy = "Make the skill, or mend rules.yaml (the workers read it again); then: jitprov retry ID"


class NameUnknown(Final):
    """The rules name a language, division, role, group or queue that the organization does not have."""

    code = "name_unknown"
    default_remedy = "Make it, or mend rules.yaml (`jitprov rules check` names the line); then: jitprov retry ID"


class NoRuleMatched(Final):
    """No rule of rules.yaml covers this agent."""

    code = "no_rule_matched"
    default_remedy = "Add a rule (the workers read it again), or fill in the agent's department; then: jitprov retry ID"


class SetupMissing(Final):
    """The organization lacks something every phone needs: a WebRTC phone base, a default site."""

    code = "setup_missing"
    default_remedy = "Run `jitprov doctor`, mend what it names, then: jitprov retry ID"


class WorkerDied(Final):
    """Each attempt of the step ended with its worker: killed, out of memory, or cut off from Redis."""

    code = "worker_died"
    default_remedy = "Look at the workers' logs of that time (memory, kills), then: jitprov retry ID"


class LeaseLost(JitprovError):
    """Another worker may hold this step now; this one must have no further effect and write nothing."""


class Broken(TryAgain):
    """A defect of jitprov's own, or a step that ran into its time limit; whatever it sent may have been applied."""

    code = "internal_error"
    default_remedy = "Retry it once; if it recurs, report it with the worker's log line of this task id."
