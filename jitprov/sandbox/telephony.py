"""Sites, phone bases, phones, and the stations behind phones.

Pure state with indices. A station exists from the moment its phone does; only the listings learn of either late,
which is why both carry the instant they become visible.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from jitprov.sandbox.answers import Json

EDGES = "/api/v2/telephony/providers/edges"
WEBRTC_META_BASE = "inin_webrtc_softphone.json"
STATION_TYPE_WEBRTC = "inin_webrtc_softphone"


@dataclass(slots=True)
class PhoneBase:
    """A phone base and the line bases its phones can have."""

    id: str
    name: str
    meta_base_id: str
    line_bases: list[Json]
    body: Json

    @property
    def is_webrtc(self) -> bool:
        """Whether its phones belong to a user's browser."""
        return self.meta_base_id == WEBRTC_META_BASE


@dataclass(slots=True)
class Phone:
    """One phone: what was posted (`settings`, wire names) and what the organization added."""

    id: str
    name: str
    site_id: str
    base_id: str
    webrtc_user_id: str | None
    lines: list[Json]
    settings: Json
    created: str
    listed_at_s: float
    modified: str
    station_id: str
    state: str = "active"
    version: int = 1


@dataclass(slots=True)
class Station:
    """The place at which a user can be reached; one per phone."""

    id: str
    name: str
    phone_id: str
    webrtc_user_id: str | None
    line_id: str
    type: str
    listed_at_s: float
    associated_user_id: str | None = None

    def to_json(self) -> Json:
        """Return the entity."""
        entity: Json = {
            "id": self.id,
            "name": self.name,
            "status": "AVAILABLE" if self.associated_user_id is None else "ASSOCIATED",
            "type": self.type,
            "lineAppearanceId": self.line_id,
            "webRtcPersistentEnabled": False,
            "webRtcForceTurn": False,
            "webRtcCallAppearances": 100,
            "selfUri": f"/api/v2/stations/{self.id}",
        }
        if self.webrtc_user_id is not None:
            entity["webRtcUserId"] = self.webrtc_user_id
        if self.associated_user_id is not None:
            entity["userId"] = self.associated_user_id
        return entity


@dataclass(slots=True)
class Telephony:
    """All of it; phones and stations also by the user and the name they are looked up with."""

    sites: dict[str, Json] = field(default_factory=dict)
    bases: dict[str, PhoneBase] = field(default_factory=dict)
    line_bases: dict[str, Json] = field(default_factory=dict)
    phones: dict[str, Phone] = field(default_factory=dict)
    stations: dict[str, Station] = field(default_factory=dict)
    _phones_of_user: dict[str, dict[str, Phone]] = field(default_factory=dict)
    _phones_named: dict[str, dict[str, Phone]] = field(default_factory=dict)
    _stations_of_user: dict[str, dict[str, Station]] = field(default_factory=dict)

    def add(self, phone: Phone, station: Station) -> None:
        """Take in a new phone together with its station."""
        self.phones[phone.id] = phone
        self.stations[station.id] = station
        self._index(phone, station)

    def rename(self, phone: Phone, name: str, webrtc_user_id: str | None) -> None:
        """Give a phone another name and user; its station follows."""
        station = self.stations[phone.station_id]
        self._unindex(phone, station)
        phone.name = station.name = name
        phone.webrtc_user_id = station.webrtc_user_id = webrtc_user_id
        self._index(phone, station)

    def remove(self, phone: Phone) -> Station:
        """Mark a phone deleted and take its station away; returns the station."""
        station = self.stations.pop(phone.station_id)
        phone.state = "deleted"
        phone.version += 1
        if phone.webrtc_user_id is not None:
            self._stations_of_user[phone.webrtc_user_id].pop(station.id, None)
        return station

    def phones_of(self, user_id: str) -> list[Phone]:
        """Return a user's WebRTC phones, deleted ones too, oldest first."""
        return list(self._phones_of_user.get(user_id, {}).values())

    def live_phones_of(self, user_id: str) -> list[Phone]:
        """Return a user's WebRTC phones that are not deleted, oldest first."""
        return [phone for phone in self.phones_of(user_id) if phone.state != "deleted"]

    def phones_named(self, name: str) -> list[Phone]:
        """Return the phones of a name, compared without case, deleted ones too."""
        return list(self._phones_named.get(name.casefold(), {}).values())

    def stations_of(self, user_id: str) -> list[Station]:
        """Return the stations behind a user's WebRTC phones."""
        return list(self._stations_of_user.get(user_id, {}).values())

    def _index(self, phone: Phone, station: Station) -> None:
        self._phones_named.setdefault(phone.name.casefold(), {})[phone.id] = phone
        if phone.webrtc_user_id is not None:
            self._phones_of_user.setdefault(phone.webrtc_user_id, {})[phone.id] = phone
            self._stations_of_user.setdefault(phone.webrtc_user_id, {})[station.id] = station

    def _unindex(self, phone: Phone, station: Station) -> None:
        self._phones_named[phone.name.casefold()].pop(phone.id, None)
        if phone.webrtc_user_id is not None:
            self._phones_of_user[phone.webrtc_user_id].pop(phone.id, None)
            self._stations_of_user[phone.webrtc_user_id].pop(station.id, None)
