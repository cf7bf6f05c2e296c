"""What the client must keep against an API that behaves, lags, refuses and breaks: over HTTP, to the sandbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest

from jitprov.budget.memory import MemoryBudget
from jitprov.budget.rate import BudgetRate
from jitprov.cache.memory import MemoryCache
from jitprov.domain.agent import Phone, Profile, RatedSkill
from jitprov.errors import (
    BudgetDenied,
    NotLetIn,
    NotYetConsistent,
    OutcomeUnknown,
    RateLimited,
    Refused,
    SkillUnknown,
    StepError,
    Unavailable,
)
from jitprov.genesys.auth import TokenSource
from jitprov.genesys.catalogue import Catalogue
from jitprov.genesys.client import USERS_PER_GET, GenesysClient
from jitprov.genesys.payloads import PhoneSetup, phone_name
from jitprov.genesys.transport import Transport
from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.server import SandboxThread
from jitprov.settings import Settings, read_settings
from jitprov.wiring import RealClock

SCALE = 60.0
PHONES = "/api/v2/telephony/providers/edges/phones"
SKILLS = "/api/v2/users/{userId}/routingskills/bulk"
# Far above what a test sends: how the meter paces is the meter's suite.
# With room for lateness: what a busy machine loses of slots is not what is tested here.
# Half of it to spare, so that no slot is missed on a machine that is busy for a moment.
FAST = BudgetRate.of(60_000, headroom=0.5, time_scale=SCALE)


@dataclass
class Worker:
    """One process' way to the API."""

    settings: Settings
    clock: RealClock
    budget: MemoryBudget
    cache: MemoryCache
    tokens: TokenSource
    transport: Transport
    client: GenesysClient
    catalogue: Catalogue


class Office:
    """A sandbox, and as many workers as a test wants over one budget and one cache."""

    def __init__(self, sandbox: SandboxThread, tokens: int) -> None:
        self.tokens = tokens
        self.sandbox = sandbox
        self.control = sandbox.control
        self.clock = RealClock(SCALE)
        self.failures_max = 5
        self.budget = MemoryBudget(FAST, self.clock.monotonic_s, lanes=tokens, failures_max=self.failures_max)
        self.cache = MemoryCache(self.clock.monotonic_s)
        self._workers: list[Worker] = []

    def worker(self, **changes: Any) -> Worker:
        given = {
            "api_url": self.sandbox.base_url,
            "time_scale": SCALE,
            "client_id": "sandbox-client",
            "client_secret": "sandbox-secret",
            "read_timeout_s": 0.5,
            "api_tokens": self.tokens,
        }
        settings = read_settings(_env_file=None, **(given | changes))
        tokens = TokenSource(settings, self.cache, self.clock, self.budget)
        transport = Transport(settings, self.budget, self.clock, tokens)
        client = GenesysClient(transport)
        catalogue = Catalogue(client, self.cache, self.clock, settings)
        worker = Worker(settings, self.clock, self.budget, self.cache, tokens, transport, client, catalogue)
        self._workers.append(worker)
        return worker

    def user(self, **more: Any) -> str:
        return str(self.control.sign_in(count=1, **more)[0]["id"])

    def state_of(self, user_id: str) -> dict[str, Any]:
        return dict(self.control.state(user_id)["users"][0])

    def close(self) -> None:
        for worker in self._workers:
            connection = getattr(worker.transport._own, "connection", None)
            if connection is not None:
                connection.close()


@pytest.fixture
def office_with() -> Iterator[Callable[..., Office]]:
    with ExitStack() as stack:

        def start(tokens: int = 1, **options: Any) -> Office:
            sandbox = stack.enter_context(SandboxThread(SandboxOptions(**({"time_scale": SCALE} | options))))
            office = Office(sandbox, tokens)
            stack.callback(office.close)
            return office

        yield start


@pytest.fixture
def office(office_with: Callable[..., Office]) -> Office:
    return office_with()


@pytest.fixture
def client(office: Office) -> GenesysClient:
    return office.worker().client


def make_phone(worker: Worker, user_id: str) -> Phone:
    profile = worker.client.get_user(user_id)
    return worker.client.create_phone(user_id, phone_name(profile), worker.catalogue.phone_setup())


def fault(office: Office, action: Any, *, route: str, method: str, phase: str = "before_apply", times: int = 1) -> None:
    match = {"route": route, "method": method}
    office.control.faults([{"match": match, "phase": phase, "action": action, "times": times}])


# --- profiles -----------------------------------------------------------------------------------------------------


def test_a_profile_is_read_whole(office: Office, client: GenesysClient) -> None:
    """Name, address, department, title, division, state and skills arrive under the domain's names."""
    user = office.control.sign_in(
        agents=[{"name": "Robin Example", "email": "robin@example.test", "department": "Retail", "title": "Agent"}]
    )[0]

    profile = client.get_user(user["id"])

    assert profile == Profile(
        user_id=user["id"],
        name="Robin Example",
        email="robin@example.test",
        department="Retail",
        title="Agent",
        division="Home",
        division_id=office.state_of(user["id"])["division_id"],
    )


def test_a_profile_may_lack_its_department(office: Office, client: GenesysClient) -> None:
    """An agent without one is an agent all the same."""
    user = office.control.sign_in(agents=[{"name": "Robin", "email": "robin@example.test"}])[0]

    assert client.get_user(user["id"]).department == ""


def test_a_hundred_profiles_cost_one_call(office: Office, client: GenesysClient) -> None:
    """As many users as one call may name come back from it, inactive ones too, and the unknown are absent."""
    ids = [user["id"] for user in office.control.sign_in(count=USERS_PER_GET - 2)]
    ids.append(office.user(state="inactive"))
    before = office.control.oracle()["calls"]

    profiles = client.get_users([*ids, str(uuid4())])

    assert set(profiles) == set(ids)
    assert office.control.oracle()["calls"] - before == 1


def test_more_than_a_hundred_profiles_are_refused_here(client: GenesysClient) -> None:
    """The API's bound is kept before anything is sent."""
    with pytest.raises(ValueError, match="100"):
        client.get_users([str(uuid4()) for _ in range(USERS_PER_GET + 1)])


def test_an_unknown_user_is_not_consistent_yet(client: GenesysClient) -> None:
    """A user that was just made may be unknown for a moment: worth a repetition, with the API's trace."""
    with pytest.raises(NotYetConsistent) as caught:
        client.get_user(str(uuid4()))

    assert caught.value.http_status == 404
    assert caught.value.correlation_id


# --- skills -------------------------------------------------------------------------------------------------------


def test_skills_are_added_and_rated_anew(office: Office) -> None:
    """Merging leaves other skills, rates given ones, and does no harm when repeated."""
    worker, user_id = office.worker(), office.user()
    ids = worker.catalogue.skill_ids(["Customer_Service", "Order_Tracking"])
    first = RatedSkill("Customer_Service", 1.0, ids["Customer_Service"])
    more = [RatedSkill("Customer_Service", 3.5, ids["Customer_Service"]), RatedSkill("", 0.0, ids["Order_Tracking"])]

    worker.client.patch_routing_skills(user_id, [first])
    worker.client.patch_routing_skills(user_id, more)
    worker.client.patch_routing_skills(user_id, more)

    held = {skill.skill_id: skill.proficiency for skill in worker.client.get_user(user_id).skills}
    assert held == {ids["Customer_Service"]: 3.5, ids["Order_Tracking"]: 0.0}


def test_more_skills_than_one_patch_takes_are_sent_in_parts(office: Office) -> None:
    """Fifty-one skills are two calls, and all are there afterwards."""
    worker, user_id = office.worker(), office.user()
    ids = list(worker.client.list_routing_skills().values())[:51]

    worker.client.patch_routing_skills(user_id, [RatedSkill("", 1.0, skill_id) for skill_id in ids])

    assert {skill["id"] for skill in office.state_of(user_id)["skills"]} == set(ids)
    assert office.control.oracle()["calls_by_route"][f"PATCH {SKILLS}"] == 2


@pytest.mark.parametrize("names", [["Order_Tracking"], []])
def test_replacing_leaves_exactly_the_given_skills(office: Office, names: list[str]) -> None:
    """What is not in the list is gone, and an empty list takes all away."""
    worker, user_id = office.worker(), office.user()
    ids = worker.catalogue.skill_ids(["Customer_Service", "Order_Tracking"])
    worker.client.patch_routing_skills(user_id, [RatedSkill("", 1.0, skill_id) for skill_id in ids.values()])

    worker.client.put_routing_skills(user_id, [RatedSkill(name, 2.0, ids[name]) for name in names])

    assert {skill["name"] for skill in office.state_of(user_id)["skills"]} == set(names)


@pytest.mark.parametrize("proficiency", [-0.1, 5.1, float("nan"), float("inf")])
def test_a_proficiency_out_of_bounds_is_not_sent(office: Office, client: GenesysClient, proficiency: float) -> None:
    """The API's bounds are kept here."""
    with pytest.raises(ValueError, match=r"0\.0 to 5\.0"):
        client.patch_routing_skills(str(uuid4()), [RatedSkill("A", proficiency, str(uuid4()))])

    assert office.control.oracle()["calls"] == 0


@pytest.mark.parametrize(("status", "expected"), [(400, Refused), (404, NotYetConsistent)])
def test_a_skill_that_is_gone_is_said_aloud(
    office_with: Callable[..., Office], status: int, expected: type[StepError]
) -> None:
    """An assignment of a skill id that the API lacks never passes for done, whichever way the API says so."""
    office = office_with(unknown_skill_status=status)
    worker, user_id = office.worker(), office.user()

    with pytest.raises(expected) as caught:
        worker.client.patch_routing_skills(user_id, [RatedSkill("Gone", 1.0, str(uuid4()))])

    assert caught.value.http_status == status


def test_a_concurrent_change_is_worth_a_repetition(office_with: Callable[..., Office]) -> None:
    """A version conflict spends an attempt and ends nothing."""
    office = office_with(version_conflict_share=1.0)
    worker, user_id = office.worker(), office.user()
    ids = worker.catalogue.skill_ids(["Customer_Service"])

    with pytest.raises(NotYetConsistent):
        worker.client.patch_routing_skills(user_id, [RatedSkill("", 1.0, ids["Customer_Service"])])


# --- catalogue ----------------------------------------------------------------------------------------------------


def test_skill_names_are_told_apart_by_case(office: Office) -> None:
    """Two skills that differ only in case are two skills."""
    ids = office.worker().catalogue.skill_ids(["Customer_Service", "customer_service"])

    assert len(set(ids.values())) == 2


def test_a_retired_skill_is_unknown(office: Office) -> None:
    """An inactive skill cannot be given to anyone: that shows before anything is sent for the agent."""
    with pytest.raises(SkillUnknown, match="Holiday_Hotline_2019"):
        office.worker().catalogue.skill_ids(["Holiday_Hotline_2019"])


def test_the_catalogue_is_read_once_for_all_workers(office: Office) -> None:
    """Two workers, many agents: one listing of the skills, one of the bases, one of the organization, one token."""
    workers = [office.worker(), office.worker()]

    for worker in workers * 3:
        worker.catalogue.skill_ids(["Customer_Service"])
        worker.catalogue.phone_setup()

    oracle = office.control.oracle()
    assert oracle["calls_by_route"] == {
        "GET /api/v2/routing/skills": 1,
        "GET /api/v2/telephony/providers/edges/phonebasesettings": 1,
        "GET /api/v2/organizations/me": 1,
    }
    assert oracle["token_calls"] == 1


def test_a_failed_shared_read_fails_only_its_own_try(office: Office) -> None:
    """The catalogue could not be read: this attempt may be repeated, and the next one reads."""
    worker = office.worker()
    fault(office, {"kind": "status", "code": 503}, route="/api/v2/routing/skills", method="GET")

    with pytest.raises(Unavailable):
        worker.catalogue.skill_ids(["Customer_Service"])

    assert worker.catalogue.skill_ids(["Customer_Service"])


# --- phones -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unique", [True, False])
def test_a_phone_is_made_and_found(office_with: Callable[..., Office], unique: bool) -> None:
    """The one phone belongs to the agent, hangs on site and WebRTC base, and is found as it was made."""
    office = office_with(unique_phone_names=unique)
    worker, user_id = office.worker(), office.user()
    setup = worker.catalogue.phone_setup()

    phone = make_phone(worker, user_id)

    held = office.state_of(user_id)["phones"]
    assert worker.client.find_phones(user_id) == [phone]
    assert [(each["id"], each["line_id"], each["name"]) for each in held] == [
        (phone.phone_id, phone.line_id, phone.name)
    ]
    assert (held[0]["site_id"], held[0]["phone_base_id"]) == (setup.site_id, setup.phone_base_id)


def test_phones_of_others_are_not_found(office: Office) -> None:
    """Looking for one agent's phones never finds another's."""
    worker = office.worker()
    make_phone(worker, office.user())

    assert worker.client.find_phones(office.user()) == []
    assert office.control.oracle()["wildcard_filters"] == 0


def test_deleted_phones_are_not_found(office_with: Callable[..., Office]) -> None:
    """A listing that still shows deleted phones gives none back; deleting twice does no harm."""
    office = office_with(deleted_phones_listed=True)
    worker, user_id = office.worker(), office.user()
    phone = make_phone(worker, user_id)

    worker.client.delete_phone(phone.phone_id)
    worker.client.delete_phone(phone.phone_id)

    assert worker.client.find_phones(user_id) == []


@pytest.mark.parametrize("options", [{}, {"one_webrtc_phone_per_user": True, "unique_phone_names": False}])
def test_a_second_phone_sends_the_step_looking(office_with: Callable[..., Office], options: dict[str, Any]) -> None:
    """The name, or the agent's phone, is there: worth another look, and no second phone."""
    office = office_with(**options)
    worker, user_id = office.worker(), office.user()
    phone = make_phone(worker, user_id)

    with pytest.raises(NotYetConsistent) as caught:
        make_phone(worker, user_id)

    assert caught.value.http_status == 400
    assert worker.client.find_phones(user_id) == [phone]


@pytest.mark.parametrize(
    "action",
    [
        {"kind": "status", "code": 503},
        "reset",
        "close",
        "hang",
        "bad_json",
        "html200",
        "wrong_type",
        {"kind": "wrong_type", "field": "lines"},
        {"kind": "truncate", "n": 9},
    ],
)
def test_a_lost_answer_to_a_create_leaves_the_outcome_open(office: Office, action: Any) -> None:
    """The phone was made, its answer did not arrive whole: never an error that lets the step create blindly."""
    worker, user_id = office.worker(), office.user()
    worker.catalogue.phone_setup()
    fault(office, action, route=PHONES, method="POST", phase="after_apply")

    with pytest.raises(OutcomeUnknown):
        make_phone(worker, user_id)

    assert len(worker.client.find_phones(user_id)) == 1
    assert office.control.oracle()["calls_by_route"][f"POST {PHONES}"] == 1


# --- stations -----------------------------------------------------------------------------------------------------


def test_a_station_is_found_late_and_set(office: Office) -> None:
    """None while the index lags; then the station, and once set it is the agent's default."""
    worker, user_id = office.worker(), office.user()
    make_phone(worker, user_id)
    early = worker.client.find_station(user_id)
    office.control.advance_clock(10)

    station_id = worker.client.find_station(user_id)

    assert early is None
    assert station_id
    assert worker.client.set_default_station(user_id, station_id)
    office.control.advance_clock(5)
    assert worker.client.get_default_station(user_id) == station_id
    assert worker.client.get_user(user_id).default_station_id == station_id


@pytest.mark.parametrize("same", [True, False])
def test_whether_a_line_is_a_station_can_be_tried(office_with: Callable[..., Office], same: bool) -> None:
    """Setting the line's id as default station says whether it is one, and fails nobody when it is not."""
    office = office_with(line_id_is_station_id=same)
    worker, user_id = office.worker(), office.user()
    phone = make_phone(worker, user_id)

    assert worker.client.set_default_station(user_id, phone.line_id) is same


def test_nobody_has_a_default_station_at_first(office: Office, client: GenesysClient) -> None:
    """An agent without one has None."""
    assert client.get_default_station(office.user()) is None


# --- a rough API --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "action",
    [
        {"kind": "status", "code": 500},
        {"kind": "status", "code": 502},
        {"kind": "status", "code": 503},
        {"kind": "status", "code": 504},
        {"kind": "status", "code": 302, "headers": {"Location": "http://127.0.0.1:1/"}},
        "reset",
        "close",
        "hang",
        "bad_json",
        "html200",
        "wrong_type",
        {"kind": "wrong_type", "field": "id"},
        {"kind": "truncate", "n": 40},
        {"kind": "huge", "bytes": 9_000_000},
    ],
)
def test_a_broken_answer_to_a_read_is_worth_a_repetition(office: Office, action: Any) -> None:
    """Whatever is wrong with the answer, the read may be repeated, and works when the API is well again."""
    worker, user_id = office.worker(), office.user()
    fault(office, action, route="/api/v2/users/{userId}", method="GET", phase="after_apply")

    with pytest.raises(Unavailable):
        worker.client.get_user(user_id)

    assert worker.client.get_user(user_id).user_id == user_id
    assert office.control.oracle()["calls_by_route"]["GET /api/v2/users/{userId}"] == 2


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_lost_answer_to_skills_is_safe_to_repeat(office: Office, method: str) -> None:
    """Skills may have been set already: repeating leaves the same."""
    worker, user_id = office.worker(), office.user()
    ids = worker.catalogue.skill_ids(["Customer_Service"])
    skills = [RatedSkill("", 2.0, ids["Customer_Service"])]
    send = worker.client.patch_routing_skills if method == "PATCH" else worker.client.put_routing_skills
    fault(office, "reset", route=SKILLS, method=method, phase="after_apply")

    with pytest.raises(Unavailable):
        send(user_id, skills)
    send(user_id, skills)

    assert [skill["proficiency"] for skill in office.state_of(user_id)["skills"]] == [2.0]


def test_an_api_that_is_not_there_was_sent_nothing() -> None:
    """A refused connection is safe to repeat even for a create: nothing was sent."""
    with SandboxThread(SandboxOptions(time_scale=SCALE)) as sandbox:
        office = Office(sandbox, 1)
        worker, user_id = office.worker(), office.user()
        setup = worker.catalogue.phone_setup()

    with pytest.raises(Unavailable):
        worker.client.create_phone(user_id, "a phone", setup)
    office.close()


@pytest.mark.parametrize("status", [400, 403, 413, 415, 422])
def test_a_refusal_is_final_and_tells_no_names(office: Office, status: int) -> None:
    """Status, code and correlation id are there for the operator; the API's message, which may name people, is not."""
    worker, user_id = office.worker(), office.user()
    body = {"code": "some.code", "message": "no Robin robin@example.test", "status": status}
    fault(office, {"kind": "status", "code": status, "body": body}, route="/api/v2/users/{userId}", method="GET")

    with pytest.raises(Refused) as caught:
        worker.client.get_user(user_id)

    assert caught.value.http_status == status
    assert caught.value.correlation_id
    assert "some.code" in str(caught.value)
    assert "obin" not in f"{caught.value}{caught.value.remedy}"


# --- the limit ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "least_s", "most_s"),
    [("7", 7, 7), ("0", 1, 1), ("huge", 300, 300), ("http-date", 3, 9), ("negative", 1, 60), ("none", 1, 60)],
)
def test_429_pauses_everyone_for_as_long_as_it_says(office: Office, value: str, least_s: int, most_s: int) -> None:
    """Seconds, a date, nothing, nonsense: a bounded wait in API seconds, and the meter pauses as long in real ones."""
    worker, user_id = office.worker(), office.user()
    worker.tokens.token()
    fault(office, {"kind": "retry_after", "value": value, "after_s": 8}, route="/api/v2/users/{userId}", method="GET")

    with pytest.raises(RateLimited) as caught:
        worker.client.get_user(user_id)
    paused_s = office.budget.state().paused_s

    assert least_s <= caught.value.wait_s <= most_s
    assert paused_s == pytest.approx(caught.value.wait_s / SCALE, abs=0.1)


def test_a_pause_holds_another_worker_back(office: Office) -> None:
    """After one worker's 429 no worker sends anything before its time."""
    first, second, user_id = office.worker(), office.worker(budget_wait_max_s=0.01), office.user()
    first.tokens.token()
    fault(office, {"kind": "retry_after", "value": 30}, route="/api/v2/users/{userId}", method="GET")
    with pytest.raises(RateLimited):
        first.client.get_user(user_id)
    calls = office.control.oracle()["calls"]

    with pytest.raises(BudgetDenied) as caught:
        second.client.get_user(user_id)

    assert 1 < caught.value.wait_s <= 30
    assert office.control.oracle()["calls"] == calls
    assert office.control.oracle()["requests_inside_retry_after"] == 0


# --- the circuit --------------------------------------------------------------------------------------------------


def break_circuit(office: Office, worker: Worker, *, times: int) -> None:
    worker.tokens.token()
    action = {"kind": "status", "code": 503}
    office.control.faults([{"match": {"method": "GET"}, "phase": "before_apply", "action": action, "times": times}])
    for _ in range(office.failures_max):
        with pytest.raises(Unavailable):
            worker.client.get_user(str(uuid4()))


def test_an_api_that_is_down_is_left_alone(office: Office) -> None:
    """Failures in a row of all workers open the circuit: nothing more is sent, no attempt is spent, people see why."""
    first, second = office.worker(), office.worker(budget_wait_max_s=0.01)
    break_circuit(office, first, times=99)
    calls = office.control.oracle()["calls"]

    with pytest.raises(BudgetDenied, match="503"):
        second.client.create_phone(str(uuid4()), "a phone", PhoneSetup("s", "p", "l"))

    assert office.control.oracle()["calls"] == calls
    state = office.budget.state()
    assert (state.circuit, state.paused_by, state.failures) == ("open", "circuit", office.failures_max)
    assert "503" in state.pause_reason


def test_one_probe_finds_out_that_the_api_is_back(office: Office) -> None:
    """When its time is over one request goes; its success closes the circuit for everyone."""
    worker, user_id = office.worker(), office.user()
    break_circuit(office, worker, times=office.failures_max)

    assert worker.client.get_user(user_id).user_id == user_id  # waits in place until it may be the probe
    assert office.budget.state().circuit == "closed"
    assert office.budget.state().failures == 0


def test_a_probe_that_fails_spends_no_attempt(office: Office) -> None:
    """The API is still down: the step is told to wait, and the circuit is open for longer."""
    worker = office.worker()
    break_circuit(office, worker, times=office.failures_max + 1)
    calls = office.control.oracle()["calls"]

    with pytest.raises(BudgetDenied, match="still down") as caught:
        worker.client.get_user(str(uuid4()))

    assert office.control.oracle()["calls"] == calls + 1
    assert caught.value.wait_s == pytest.approx(20.0, abs=1.0)


def test_a_create_is_no_probe(office: Office) -> None:
    """Before a request that must not be repeated, a harmless read finds out; then the request itself goes, once."""
    worker, user_id = office.worker(), office.user()
    setup = worker.catalogue.phone_setup()
    break_circuit(office, worker, times=office.failures_max + 1)

    with pytest.raises(BudgetDenied, match="still down"):
        worker.client.create_phone(user_id, "a phone", setup)
    assert "POST " + PHONES not in office.control.oracle()["calls_by_route"]

    office.clock.wait(25)
    worker.client.create_phone(user_id, "a phone", setup)
    assert office.control.oracle()["calls_by_route"]["POST " + PHONES] == 1
    assert office.budget.state().circuit == "closed"


def test_what_the_probe_is_refused_fails_no_create(office: Office) -> None:
    """An organization that does not let the client read the probe's route has answered: the create goes on."""
    worker, user_id = office.worker(), office.user()
    setup = worker.catalogue.phone_setup()
    break_circuit(office, worker, times=office.failures_max)
    fault(office, {"kind": "status", "code": 403}, route="/api/v2/organizations/me", method="GET")

    worker.client.create_phone(user_id, "a phone", setup)

    assert office.budget.state().circuit == "closed"


# --- the token ----------------------------------------------------------------------------------------------------


def test_an_expired_token_is_replaced_once_for_all(office: Office) -> None:
    """One worker's 401 brings one new token; the other worker meets the same 401 and takes that one."""
    workers, user_id = [office.worker(), office.worker()], office.user()
    for worker in workers:
        worker.client.get_user(user_id)
    fault(office, "expire_token", route="/api/v2/users/{userId}", method="GET")

    for worker in workers:
        assert worker.client.get_user(user_id).user_id == user_id

    assert office.control.oracle()["token_calls"] == 2


def test_a_token_revoked_twice_fails_nobody(office: Office) -> None:
    """A fresh token that is refused as well, since it was revoked meanwhile: the step comes again and succeeds."""
    worker, user_id = office.worker(), office.user()
    fault(office, {"kind": "status", "code": 401}, route="/api/v2/users/{userId}", method="GET", times=2)

    with pytest.raises(NotLetIn) as caught:
        worker.client.get_user(user_id)
    office.clock.wait(caught.value.wait_s)

    assert caught.value.http_status == 401
    assert worker.client.get_user(user_id).user_id == user_id
    assert office.budget.state().circuit == "closed"


def test_fresh_tokens_that_are_always_refused_stop_everyone(office: Office) -> None:
    """No token is good any more: two requests, then nothing from any worker, and people see why."""
    first, second, user_id = office.worker(), office.worker(budget_wait_max_s=0.01), office.user()
    fault(office, {"kind": "status", "code": 401}, route="/api/v2/users/{userId}", method="GET", times=99)
    for worker in (first, second):
        with pytest.raises((NotLetIn, BudgetDenied)):
            worker.client.get_user(user_id)

    state = office.budget.state()
    assert office.control.oracle()["calls_by_route"]["GET /api/v2/users/{userId}"] == 2
    assert (state.circuit, state.paused_by) == ("open", "circuit")
    assert "401" in state.pause_reason


def test_a_wrong_client_is_told_which_settings(office: Office) -> None:
    """The operator reads which settings to mend, and no secret; nobody else asks meanwhile, and no agent fails."""
    first, second = (office.worker(client_secret="a-wrong-secret", budget_wait_max_s=0.01) for _ in range(2))

    with pytest.raises(NotLetIn) as caught:
        first.client.get_user(str(uuid4()))
    with pytest.raises(BudgetDenied, match="refused the OAuth client"):
        second.client.get_user(str(uuid4()))

    assert "JITPROV_CLIENT_ID" in caught.value.remedy
    assert "JITPROV_CLIENT_SECRET" in caught.value.remedy
    assert "a-wrong-secret" not in f"{caught.value}{caught.value.remedy}"
    assert office.control.oracle()["token_calls"] == 1
    assert "invalid_client" in office.budget.state().pause_reason


def test_the_token_endpoints_own_limit_is_waited_for(office_with: Callable[..., Office]) -> None:
    """`rate limit exceeded` of the login host, a 400, fails nobody."""
    office = office_with(token_requests_per_min=1)
    worker = office.worker()
    first = worker.tokens.token()

    with pytest.raises(RateLimited):
        worker.tokens.refresh(first)


@pytest.mark.parametrize("action", [{"kind": "status", "code": 503}, "reset", "hang", "html200", "bad_json"])
def test_a_login_host_that_is_unwell_fails_nobody(office: Office, action: Any) -> None:
    """The token can be asked for again."""
    worker = office.worker()
    fault(office, action, route="/oauth/token", method="POST", phase="after_apply")

    with pytest.raises(Unavailable):
        worker.tokens.token()

    assert worker.tokens.token()


def test_the_token_does_not_lie_open_in_the_cache(office: Office) -> None:
    """Who reads the cache learns no token."""
    worker = office.worker()
    token = worker.tokens.token()

    values = [value for value, _ in office.cache._kept.values()]

    assert values
    assert not any(token.encode() in value for value in values)


def test_many_who_need_a_token_at_once_fetch_one(office: Office) -> None:
    """Eight workers that start together make one token request between them."""
    workers = [office.worker() for _ in range(8)]

    with ThreadPoolExecutor(len(workers)) as pool:
        tokens = set(pool.map(lambda worker: worker.tokens.token(), workers))

    assert len(tokens) == 1
    assert office.control.oracle()["token_calls"] == 1


def test_what_cannot_be_unsealed_counts_as_absent(office: Office) -> None:
    """After a rotation of the secret the old entry is unreadable: a new token is fetched, nobody fails."""
    old, new = office.worker(), office.worker()
    old.tokens.token()
    for key in list(office.cache._kept):
        office.cache.put(key, b"sealed with another secret", ttl_s=60)

    assert new.tokens.token()
    assert office.control.oracle()["token_calls"] == 2


def test_the_token_call_is_charged(office: Office) -> None:
    """Whether the API counts it is not known, so the meter does."""
    worker = office.worker()

    worker.tokens.token()

    assert office.budget.state().spent_total == 1


def test_every_attempt_is_charged(office: Office) -> None:
    """A 401's repetition is paid like any other: token, refused try, new token, second try."""
    worker, user_id = office.worker(), office.user()
    fault(office, "expire_token", route="/api/v2/users/{userId}", method="GET")

    worker.client.get_user(user_id)

    oracle = office.control.oracle()
    assert office.budget.state().spent_total == oracle["calls"] + oracle["token_calls"] == 4


def test_each_lane_has_a_token_of_its_own(office_with: Callable[..., Office]) -> None:
    """With two tokens each request bears the token whose meter pays for it, and a 401 replaces that one alone."""
    office = office_with(tokens=2)
    worker, user_id = office.worker(), office.user()
    for _ in range(6):
        worker.client.get_user(user_id)
    before = [worker.tokens.token(lane) for lane in (0, 1)]
    fault(office, "expire_token", route="/api/v2/users/{userId}", method="GET")
    worker.client.get_user(user_id)

    after = [worker.tokens.token(lane) for lane in (0, 1)]
    oracle = office.control.oracle()
    assert sum(one != other for one, other in zip(before, after, strict=True)) == 1
    assert oracle["token_calls"] == 3
    spent = sorted(lane.spent_total for lane in office.budget.state().lanes)
    sent = sorted(token["requests"] for token in oracle["tokens"].values())
    assert sum(spent) == sum(sent) + 3
    assert len(sent) == 3


def test_a_pause_of_one_token_leaves_the_other(office_with: Callable[..., Office]) -> None:
    """A 429 on one token pauses that lane; calls go on with the other token."""
    office = office_with(tokens=2)
    worker, user_id = office.worker(), office.user()
    worker.tokens.lanes()
    fault(office, {"kind": "retry_after", "value": 30}, route="/api/v2/users/{userId}", method="GET")
    with pytest.raises(RateLimited):
        worker.client.get_user(user_id)

    for _ in range(4):
        worker.client.get_user(user_id)

    assert sorted(lane.paused_s > 0 for lane in office.budget.state().lanes) == [False, True]
    assert office.control.oracle()["requests_inside_retry_after"] == 0


# --- who asks -----------------------------------------------------------------------------------------------------


def test_every_request_says_who_sends_it_and_for_whom(office: Office) -> None:
    """The User-Agent names jitprov and, inside `acting_for`, the provisioning."""
    worker, user_id, provisioning_id = office.worker(), office.user(), str(uuid4())
    worker.client.get_user(user_id)
    with worker.client.acting_for(provisioning_id):
        worker.client.get_user(user_id)
    worker.client.get_user(user_id)

    agents = [entry["user_agent"] for entry in office.control.journal() if entry["path"].startswith("/api/")]

    assert agents[0] == agents[2] != agents[1]
    assert agents[0].startswith("jitprov/")
    assert agents[1] == f"{agents[0]} (provisioning {provisioning_id})"


@pytest.mark.parametrize("bad", ["*", "", "../me", "a/b", "me?x=1", "{id}", f"{UUID(int=7)}\n", f"{UUID(int=7)}*"])
def test_nothing_but_an_id_becomes_part_of_an_address(office: Office, client: GenesysClient, bad: str) -> None:
    """A wildcard, a path, a query: refused here, and nothing is sent."""
    good = str(uuid4())
    for ask in (
        lambda: client.get_user(bad),
        lambda: client.get_users([bad]),
        lambda: client.patch_routing_skills(bad, [RatedSkill("A", 1.0, good)]),
        lambda: client.put_routing_skills(bad, []),
        lambda: client.find_phones(bad),
        lambda: client.delete_phone(bad),
        lambda: client.find_station(bad),
        lambda: client.get_default_station(bad),
        lambda: client.set_default_station(bad, good),
        lambda: client.set_default_station(good, bad),
    ):
        with pytest.raises(ValueError, match="UUID"):
            ask()

    assert office.control.oracle()["calls"] == 0


# --- odd answers --------------------------------------------------------------------------------------------------


def answer_with(office: Office, body: Any, *, route: str) -> None:
    fault(office, {"kind": "status", "code": 200, "body": body}, route=route, method="GET", phase="after_apply")


def test_one_user_that_cannot_be_read_keeps_nobody_waiting(office: Office) -> None:
    """Of a bulk read the sound profiles come back; the other agent's own read says what is wrong with it."""
    worker, user_id = office.worker(), office.user()
    answer_with(office, {"entities": [{"id": user_id}, {"id": "x"}], "pageCount": 1}, route="/api/v2/users")

    assert set(worker.client.get_users([user_id, str(uuid4())])) == {user_id}


@pytest.mark.parametrize("owner", [{}, {"webRtcUser": {"id": "2d424c1e-d7aa-532f-acfe-71b6bdc4242b"}}])
def test_a_filter_that_was_not_kept_is_no_empty_list(office: Office, owner: dict[str, Any]) -> None:
    """Phones not shown to be the agent's: neither theirs nor none, for none would mean a second phone."""
    worker, user_id = office.worker(), office.user()
    phone = {"id": str(uuid4()), "name": "a phone", "state": "active", "lines": [{"id": str(uuid4())}]} | owner
    answer_with(office, {"entities": [phone], "pageCount": 1}, route=PHONES)

    with pytest.raises(Unavailable, match=r"webRtcUser\.id"):
        worker.client.find_phones(user_id)


@pytest.mark.parametrize("status", [400, 404])
def test_a_station_that_is_not_taken_yet_fails_nobody(office: Office, status: int) -> None:
    """Both answers mean that the station is not there for the API: the step waits or looks it up."""
    worker, user_id = office.worker(), office.user()
    route = "/api/v2/users/{userId}/station/defaultstation/{stationId}"
    fault(office, {"kind": "status", "code": status}, route=route, method="PUT")

    assert worker.client.set_default_station(user_id, str(uuid4())) is False


def test_a_deleted_user_is_told_from_an_unknown_one(office: Office) -> None:
    """The profile says that the user is deleted, so that nobody tries again for nothing."""
    worker, user_id = office.worker(), office.user()
    worker.transport.request("DELETE", f"/api/v2/users/{user_id}", safe=True)

    assert worker.client.get_user(user_id).state == "deleted"


def test_replacing_by_more_than_one_call_takes_leaves_exactly_these(office: Office) -> None:
    """Fifty-one skills replace the others: the list is not refused, and nothing else remains."""
    worker, user_id = office.worker(), office.user()
    ids = list(worker.client.list_routing_skills().values())
    worker.client.put_routing_skills(user_id, [RatedSkill("", 1.0, ids[-1])])

    worker.client.put_routing_skills(user_id, [RatedSkill("", 2.0, skill_id) for skill_id in ids[:51]])

    assert {skill["id"] for skill in office.state_of(user_id)["skills"]} == set(ids[:51])


@pytest.mark.parametrize("route", ["/api/v2/organizations/me", "/api/v2/routing/skills", "/api/v2/stations", PHONES])
def test_an_unexpected_404_is_an_error_of_the_step(office: Office, route: str) -> None:
    """No answer leaves this room as an error that the runner takes for a defect of ours."""
    worker, user_id = office.worker(), office.user()
    fault(office, {"kind": "status", "code": 404}, route=route, method="GET")
    asks: dict[str, Callable[[], object]] = {
        "/api/v2/organizations/me": worker.client.get_default_site_id,
        "/api/v2/routing/skills": worker.client.list_routing_skills,
        "/api/v2/stations": lambda: worker.client.find_station(user_id),
        PHONES: lambda: worker.client.find_phones(user_id),
    }

    with pytest.raises(NotYetConsistent) as caught:
        asks[route]()

    assert caught.value.correlation_id


def test_no_permission_is_needed_to_see_a_default_station(office: Office) -> None:
    """The route that needs one more permission is not asked: an agent does not fail for it."""
    office.worker().client.get_default_station(office.user())

    assert "GET /api/v2/users/{userId}/station" not in office.control.oracle()["calls_by_route"]


@pytest.mark.parametrize("value", [None, 5])
def test_the_login_hosts_limit_pauses_everyone(office_with: Callable[..., Office], value: int | None) -> None:
    """Whether it says 400 or 429: without a token nobody gets anywhere, so nobody asks meanwhile."""
    office = office_with(token_requests_per_min=1 if value is None else 0)
    worker = office.worker()
    first = worker.tokens.token()
    if value is not None:
        fault(office, {"kind": "retry_after", "value": value}, route="/oauth/token", method="POST")

    with pytest.raises(RateLimited) as caught:
        worker.tokens.refresh(first)

    assert caught.value.wait_s == (value or 15)
    assert office.budget.state().paused_s > 0
