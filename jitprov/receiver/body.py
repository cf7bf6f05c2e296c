"""Body → readings: which events open a provisioning, which have nothing to do, which are wrong. Pure; writes nothing.

Three shapes are read (the first is what Genesys sends; the second is in no topic list, and taken all the same):

    detail.topicName                     read
    `v2.audits.entitytype.…`, or none    detail.eventBody.{id, action, entityType, entity.id, clientId.id}
    `v2.users.{id}`                      detail.eventBody.{id, action}
    (no detail.eventBody)                detail.{action, entity.id}, and detail.entityType if there is one

What starts a provisioning for anybody, and what for agents whom jitprov knows already, are settings. An Update that
says what it changed, and nothing that rules look at, has nothing to do.

Another topic, another entity type or another action has nothing to do. So has every audit of jitprov's own OAuth
client, a Create too: jitprov creates no users, and its other writes must never start anything, whatever the settings
say. Whoever lets another program create users with the same client breaks the rule of one client per integration; a
log line then says what to mend.

In an array, a wrong event does not take the others with it: EventBridge never repeats a 400, so refusing all of it
would lose the good ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self
from uuid import UUID, uuid5

from jitprov.domain.events import Kind, Opening
from jitprov.domain.ids import is_uuid
from jitprov.errors import EventInvalid
from jitprov.receiver.strict_json import parse_strictly
from jitprov.settings import Settings

EVENTS_MAX = 1000
# What topics of audits begin with.
AUDIT_TOPIC = "v2.audits.entitytype."

_UUID_CHARS = 36
_CREATE, _UPDATE = "create", "update"
_USERS_TOPIC = re.compile(r"v2\.users\.[^.]+")
# Of the ids that jitprov makes for events that bring none; changing it makes known events new.
_DERIVED_IDS = UUID("6f9a3f0e-52c1-4d43-9d0a-3c1d7b7f5e21")
_MEND_SHAPE = "Send the EventBridge envelope of the audit topic, or detail.action and detail.entity.id"
_MEND_ID = "Send the UUID that Genesys gave it"

Json = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class StartRule:
    """Which events start a provisioning; words in lower case.

    Attributes:
        entity_types: Of the audit's `entityType`.
        actions: Of its `action`; what is done about each.
        properties: Words of which the name of a property that matters holds one.
        own_client_id: OAuth client of jitprov itself; empty when unknown.
    """

    entity_types: frozenset[str]
    actions: Mapping[str, Kind]
    own_client_id: str = ""
    properties: frozenset[str] = frozenset()

    @property
    def beginnings(self) -> frozenset[str]:
        """The actions that start one for anybody, known or not."""
        return frozenset(action for action, kind in self.actions.items() if kind is not Kind.CHANGE)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return the rule that the settings ask for."""
        later = {word.casefold(): Kind.CHANGE for word in settings.later_actions}
        start = {word.casefold(): Kind.RETURN for word in settings.start_actions}
        return cls(
            frozenset(word.casefold() for word in settings.start_entity_types),
            later | start | ({_CREATE: Kind.NEW} if _CREATE in start else {}),
            settings.client_id.casefold(),
            frozenset(word.casefold() for word in settings.later_properties),
        )


@dataclass(frozen=True, slots=True)
class Ignored:
    """A valid event with nothing to do.

    Attributes:
        reason: `topic`, `entity_type`, `action`, `property` or `own_client`.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A wrong event, or a body that is none.

    Attributes:
        error: Where and why; quotes nothing of the body.
        event_id: Of the audit or the envelope, when that much could be read; empty otherwise.
        index: Place in the array; None when the body is not one.
    """

    error: EventInvalid
    event_id: str = ""
    index: int | None = None


Reading = Opening | Ignored | Refused
# Event id, user id and what for.
_Found = tuple[str, str, Kind]


def read_body(raw: bytes, rule: StartRule, new_id: Callable[[], str]) -> list[Reading]:
    """Return a reading of each event, in the body's order; a body that cannot be read gives one `Refused`.

    Args:
        raw: The body, as it came.
        rule: What starts a provisioning.
        new_id: Makes a provisioning id.
    """
    try:
        document = parse_strictly(raw)
        events = [] if isinstance(document, dict) else _several(document)
    except EventInvalid as error:
        return [Refused(error)]
    if not events:
        return [_read_event(document, None, rule, new_id)]
    return [_read_event(event, index, rule, new_id) for index, event in enumerate(events)]


def _several(events: object) -> list[object]:
    if not isinstance(events, list):
        raise EventInvalid("body", "is neither an object nor an array", _MEND_SHAPE)
    if not events:
        raise EventInvalid("body", "is an empty array", "Send at least one event")
    if len(events) > EVENTS_MAX:
        raise EventInvalid("body", f"holds {len(events)} events", f"Send at most {EVENTS_MAX} at once")
    return events


def _read_event(event: object, index: int | None, rule: StartRule, new_id: Callable[[], str]) -> Reading:
    where = "" if index is None else f"[{index}]"
    if not isinstance(event, dict):
        return Refused(EventInvalid(where, "is not an object", _MEND_SHAPE), index=index)
    try:
        found = _read_detail(_object(event, "detail", where), _join(where, "detail"), rule, _mark_of(event))
    except EventInvalid as error:
        return Refused(error, _any_event_id(event), index)
    if isinstance(found, Ignored):
        return found
    event_id, user_id, kind = found
    return Opening(new_id(), event_id, user_id, kind)


def _read_detail(detail: Json, where: str, rule: StartRule, mark: str) -> _Found | Ignored:
    if "eventBody" not in detail:
        return _read_reduced(detail, where, rule, mark)
    body, inside = _object(detail, "eventBody", where), _join(where, "eventBody")
    topic = _text(detail, "topicName", where) if detail.get("topicName") is not None else AUDIT_TOPIC
    if topic.startswith(AUDIT_TOPIC):
        return _read_audit(body, inside, rule, mark)
    if not _USERS_TOPIC.fullmatch(topic):
        return Ignored("topic")
    action = _text(body, "action", inside)
    kind = rule.actions.get(action.casefold())
    if kind is None:
        return Ignored("action")
    user_id = _uuid(body, "id", inside)
    return _derived_id(user_id, action, kind, mark), user_id, kind


def _read_audit(body: Json, where: str, rule: StartRule, mark: str) -> _Found | Ignored:
    # Whether it concerns us comes before whether its ids are right: other entities may have ids of any kind.
    if _text(body, "entityType", where).casefold() not in rule.entity_types:
        return Ignored("entity_type")
    action = _text(body, "action", where)
    kind = rule.actions.get(action.casefold())
    if kind is None:
        return Ignored("action")
    if action.casefold() == _UPDATE and not _changes_what_matters(body, rule.properties):
        return Ignored("property")
    client = body.get("clientId")
    client_id = client.get("id") if isinstance(client, dict) else None
    if rule.own_client_id and isinstance(client_id, str) and client_id.casefold() == rule.own_client_id:
        return Ignored("own_client")
    user_id = _uuid(_object(body, "entity", where), "id", _join(where, "entity"))
    # Genesys leaves absent things out, or sends them empty.
    mark = f"{body.get('eventTime') or ''} {mark}"
    event_id = _uuid(body, "id", where) if body.get("id") else _derived_id(user_id, action, kind, mark)
    return event_id, user_id, kind


def _changes_what_matters(body: Json, words: frozenset[str]) -> bool:
    """Tell whether an update may concern the rules; one that does not say what it changed may."""
    changes = body.get("propertyChanges")
    if not words or not isinstance(changes, list) or not changes:
        return True
    names = [change.get("property") if isinstance(change, dict) else None for change in changes]
    return any(not isinstance(name, str) or any(word in name.casefold() for word in words) for name in names)


def _read_reduced(detail: Json, where: str, rule: StartRule, mark: str) -> _Found | Ignored:
    if "entityType" in detail and _text(detail, "entityType", where).casefold() not in rule.entity_types:
        return Ignored("entity_type")
    action = _text(detail, "action", where)
    kind = rule.actions.get(action.casefold())
    if kind is None:
        return Ignored("action")
    user_id = _uuid(_object(detail, "entity", where), "id", _join(where, "entity"))
    return _derived_id(user_id, action, kind, mark), user_id, kind


def _derived_id(user_id: str, action: str, kind: Kind, mark: str) -> str:
    """Return an event id for an event without one of its own: the same for each delivery.

    A user is created once; what may happen again is told apart by what the sender says of this time.
    """
    apart = "" if kind is Kind.NEW else f" {mark}"
    return str(uuid5(_DERIVED_IDS, f"{user_id} {action.casefold()}{apart}"))


def _mark_of(event: Json) -> str:
    """Return what tells one sending of an event from another's: the envelope's id and time."""
    return f"{event.get('id') or ''} {event.get('time') or ''}"


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _object(parent: Json, name: str, where: str) -> Json:
    value = parent.get(name)
    if isinstance(value, dict):
        return value
    raise EventInvalid(_join(where, name), "is missing" if name not in parent else "is not an object", _MEND_SHAPE)


def _text(parent: Json, name: str, where: str) -> str:
    value = parent.get(name)
    if isinstance(value, str) and value:
        return value
    raise EventInvalid(_join(where, name), "is missing" if name not in parent else "is not a text", _MEND_SHAPE)


def _uuid(parent: Json, name: str, where: str) -> str:
    value = parent.get(name)
    if found := _as_uuid(value):
        return found
    raise EventInvalid(_join(where, name), "is missing" if name not in parent else "is not a UUID", _MEND_ID)


def _as_uuid(value: object) -> str:
    """Return a UUID in lower case; empty for anything else."""
    if not isinstance(value, str) or len(value) != _UUID_CHARS or not value.isascii():
        return ""
    return value.lower() if is_uuid(value.lower()) else ""


def _any_event_id(event: object) -> str:
    """Return whatever helps a person to find a wrong event again: the audit's id, or the envelope's."""
    if not isinstance(event, dict):
        return ""
    detail = event.get("detail")
    body = detail.get("eventBody") if isinstance(detail, dict) else None
    # Only an audit has both ids; on other topics the body's is not the event's.
    audit_id = _as_uuid(body.get("id")) if isinstance(body, dict) and "entity" in body else ""
    return audit_id or _as_uuid(event.get("id"))
