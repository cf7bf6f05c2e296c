"""Body → readings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from data.bad_bodies import AUDIT, BAD_BODIES, REDUCED, USER, BadBody, deep
from jitprov.domain.events import Kind, Opening
from jitprov.domain.ids import is_uuid
from jitprov.receiver.body import EVENTS_MAX, Ignored, Reading, Refused, StartRule, read_body
from jitprov.settings import Settings

EVENTS = Path(__file__).parents[2] / "data" / "events"
RULE = StartRule(frozenset({"user"}), {"create": Kind.NEW})
NEW = "11111111-1111-4111-8111-111111110000"


def read(document: Any, rule: StartRule = RULE) -> list[Reading]:
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    return read_body(raw, rule, lambda: NEW)


def example(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_bytes())
    return document


@pytest.mark.parametrize("bad", BAD_BODIES, ids=lambda bad: bad.name[:50])
def test_bad_bodies(bad: BadBody) -> None:
    """A bad body is refused at the field that is wrong, with a cause and a remedy that quote none of it."""
    readings = read(bad.body)

    refused = readings[0]
    assert isinstance(refused, Refused)
    assert refused.error.field == bad.field
    assert refused.error.cause
    assert refused.error.remedy
    assert USER not in str(refused.error)


@pytest.mark.parametrize("name", ["user-create.audit", "user-create.audit.duplicate-delivery"])
def test_audit(name: str) -> None:
    """A Create audit opens a provisioning under the audit's id, whichever delivery it is."""
    assert read(example(name)) == [Opening(NEW, AUDIT, USER)]


@pytest.mark.parametrize("name", ["user-create.simple", "user-create.v2-users-id.hypothetical"])
def test_derived_event_id(name: str) -> None:
    """An event without an id of its own gets the same one at each delivery."""
    (first,) = read(example(name))
    (second,) = read(example(name))

    assert isinstance(first, Opening)
    assert first.user_id == USER
    assert is_uuid(first.event_id)
    assert first == second


def test_derived_event_id_tells_users_apart() -> None:
    """Two users' events without ids get different ids."""
    other = {"detail": {"action": "Create", "entity": {"id": str(uuid4())}}}
    first, second = read([REDUCED, other])

    assert isinstance(first, Opening)
    assert isinstance(second, Opening)
    assert first.event_id != second.event_id


@pytest.mark.parametrize("empty", [None, "", ...])
def test_audit_without_id(empty: object) -> None:
    """An audit whose id is missing or empty still opens a provisioning: absent things come that way."""
    event = example("user-create.audit")
    event["detail"]["eventBody"]["id"] = empty
    if empty is ...:
        del event["detail"]["eventBody"]["id"]

    (reading,) = read(event)

    assert isinstance(reading, Opening)
    assert reading.user_id == USER


@pytest.mark.parametrize(
    ("name", "reason"),
    [("user-update.audit", "action"), ("user-delete.audit", "action"), ("noise-presence-update.audit", "entity_type")],
)
def test_nothing_to_do(name: str, reason: str) -> None:
    """Another action or entity is valid and has nothing to do."""
    assert read(example(name)) == [Ignored(reason)]


@pytest.mark.parametrize("topic", ["v2.users.{id}.presence", "v2.detail.events.conversation.{id}.acd.end", "v2.users."])
def test_other_topics(topic: str) -> None:
    """An event of another topic has nothing to do, whatever it holds."""
    assert read({"detail": {"topicName": topic, "eventBody": {"id": 1}}}) == [Ignored("topic")]


def test_other_entities_may_have_other_ids() -> None:
    """What does not concern us is not refused for the form of its ids."""
    event = example("noise-presence-update.audit")
    event["detail"]["eventBody"]["entity"] = {"id": "7"}

    assert read(event) == [Ignored("entity_type")]


def test_case() -> None:
    """Words are compared, and ids taken, without case."""
    event = example("user-create.audit")
    body = event["detail"]["eventBody"]
    body |= {"action": "CREATE", "entityType": "USER", "id": AUDIT.upper(), "entity": {"id": USER.upper()}}

    assert read(event) == [Opening(NEW, AUDIT, USER)]


def test_reduced_with_entity_type() -> None:
    """A reduced event that names another entity type has nothing to do."""
    assert read({"detail": {**REDUCED["detail"], "entityType": "Queue"}}) == [Ignored("entity_type")]
    assert isinstance(read({"detail": {**REDUCED["detail"], "entityType": "user"}})[0], Opening)


def test_own_client() -> None:
    """Audits of our own client start nothing, even where the settings let updates start something."""
    own = example("user-create.audit")["detail"]["eventBody"]["clientId"]["id"]
    rule = StartRule(frozenset({"user"}), {"create": Kind.NEW, "update": Kind.CHANGE}, own)

    assert read(example("user-create.audit"), rule) == [Ignored("own_client")]
    assert isinstance(read(example("user-update.audit"), rule)[0], Opening)


@pytest.mark.parametrize("client", [{}, {"id": ""}, {"id": 7}, None, "x"])
def test_no_client(client: object) -> None:
    """An audit that names no client is nobody's own, also when our own client is unknown."""
    event = example("user-create.audit")
    event["detail"]["eventBody"]["clientId"] = client

    assert isinstance(read(event)[0], Opening)
    assert isinstance(read(event, StartRule(RULE.entity_types, RULE.actions, "ours"))[0], Opening)


def test_start_words_of_settings() -> None:
    """The settings decide which entity types and actions start a provisioning."""
    chosen = Settings(
        start_entity_types=("Users",),
        start_actions=("CREATE", "RestoreDeleted"),
        later_actions=("Update",),
        later_properties=("Title",),
        client_id="Ours",
    )
    rule = StartRule.from_settings(chosen)

    actions = {"create": Kind.NEW, "restoredeleted": Kind.RETURN, "update": Kind.CHANGE}
    assert rule == StartRule(frozenset({"users"}), actions, "ours", frozenset({"title"}))
    assert read(example("user-create.audit"), rule) == [Ignored("entity_type")]


def test_one_wrong_event_in_an_array() -> None:
    """A wrong event in an array is refused with its place; the others are read."""
    wrong = {"id": AUDIT.upper(), "detail": {"action": "Create", "entity": {"id": "x"}}}
    first, second, third = read([REDUCED, wrong, example("user-update.audit")])

    assert isinstance(first, Opening)
    assert isinstance(second, Refused)
    assert (second.index, second.error.field, second.event_id) == (1, "[1].detail.entity.id", AUDIT)
    assert third == Ignored("action")


def test_event_id_of_a_refused_audit() -> None:
    """A refused audit is kept with the audit's id rather than the envelope's."""
    event = example("user-create.audit")
    event["detail"]["eventBody"]["entity"]["id"] = "x"

    (refused,) = read(event)

    assert isinstance(refused, Refused)
    assert refused.event_id == AUDIT


def test_bounds() -> None:
    """The largest array and the deepest event are taken."""
    assert len(read([REDUCED] * EVENTS_MAX)) == EVENTS_MAX
    assert isinstance(read(deep(32))[0], Opening)


@pytest.mark.parametrize(
    "text",
    ['"\\ud83d\\ude00 \U0001f600 \\u0000 \\u202e"', "-0", "1e308", '{"Id": 1, "id": 2}', '{"__type__": "x"}'],
)
def test_odd_but_valid(text: str) -> None:
    """What is valid JSON beside the fields that are read is of no concern."""
    raw = json.dumps(REDUCED)[:-1].encode() + f', "more": {text}}}'.encode()

    assert isinstance(read(raw)[0], Opening)


def test_many_keys() -> None:
    """A hundred thousand keys are read in bounded time."""
    more = {f"k{number}": number for number in range(100_000)}

    assert isinstance(read({**REDUCED, "more": more})[0], Opening)


def test_keys_in_messages() -> None:
    """A plain key that comes twice is named, one that could be somebody's address is not."""
    plain, address = read(b'{"entityType": 1, "entityType": 2}')[0], read(b'{"a@b.c": 1, "a@b.c": 2}')[0]

    assert isinstance(plain, Refused)
    assert isinstance(address, Refused)
    assert "entityType" in plain.error.cause
    assert "a@b.c" not in str(address.error)
