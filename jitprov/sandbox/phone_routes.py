"""Routes of phones: look up, make, change, delete.

A new phone brings a station into being, and belongs to its user only by being their WebRTC phone: it is nobody's
default until that is asked for. Refuses phones whose site, base, line base or user is not there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from jitprov.sandbox.answers import ApiError, Json, Reply, bad_field, not_found, page_of
from jitprov.sandbox.calls import Call, Handler
from jitprov.sandbox.station_routes import plan
from jitprov.sandbox.telephony import EDGES, STATION_TYPE_WEBRTC, Phone, PhoneBase, Station
from jitprov.sandbox.world import World

FILTERED_MAX = 10_000
_FILTERS: dict[str, Callable[[Phone], str | None]] = {
    "site.id": lambda phone: phone.site_id,
    "webRtcUser.id": lambda phone: phone.webrtc_user_id,
    "phoneBaseSettings.id": lambda phone: phone.base_id,
    "lines.id": lambda phone: phone.lines[0]["id"],
    "lines.name": lambda phone: phone.lines[0]["name"],
}
_LATER_KNOWN = (
    "lines.loggedInUser.id",
    "phone_hardwareId",
    "status.operationalStatus",
    "secondaryStatus.operationalStatus",
)
_KEPT = ("description", "lineBaseSettings", "phoneMetaBase", "capabilities", "properties")


def list_phones(call: Call) -> Reply:
    """Return a page of the phones that pass every filter; `*` in a filter stands for anything."""
    query, now_s = call.query, call.now_s
    found = _narrowed(call)
    for name, value_of in _FILTERS.items():
        if query[name] is not None:
            test = wildcard(query[name])
            found = [phone for phone in found if test(value_of(phone))]
    if query["name"] is not None:
        tests = [wildcard(name) for name in query["name"].split(",")]
        found = [phone for phone in found if any(test(phone.name) for test in tests)]
    if query["lines.defaultForUser.id"] is not None:
        test = wildcard(query["lines.defaultForUser.id"])
        found = [phone for phone in found if test(_default_user_id(call.world, phone))]
    is_filtered = any(query[name] is not None for name in (*_FILTERS, "name", "lines.defaultForUser.id"))
    if any(query[name] is not None for name in _LATER_KNOWN):
        found = []
    with_deleted = call.world.options.deleted_phones_listed
    shown = [p for p in found if p.listed_at_s <= now_s and (with_deleted or p.state != "deleted")]
    shown.sort(key=lambda phone: phone.id if query["sortBy"] == "id" else phone.name)
    page = shown[:FILTERED_MAX] if is_filtered else shown
    expand, shown_fields = query["expand"] or (), query["fields"] or ()
    return page_of(page, query, call.path, lambda p: _listed(call.world, p, expand, shown_fields), counted=True)


def get_phone(call: Call) -> Reply:
    """Return one phone."""
    return Reply(200, render_phone(call.world, _phone(call)))


def get_template(call: Call) -> Reply:
    """Return the defaults for a phone of one phone base."""
    base_id = call.query["phoneBaseSettingsId"]
    if base_id is None:
        raise bad_field("phoneBaseSettingsId", "is needed")
    base = call.world.telephony.bases.get(base_id)
    if base is None:
        raise not_found("phone base settings", base_id, "entity.not.found")
    line_base = base.line_bases[0]
    site_id = next(iter(call.world.telephony.sites))
    body: Json = {
        "name": "",
        "site": {"id": site_id},
        "phoneBaseSettings": {"id": base.id, "name": base.name},
        "lines": [{"name": "", "lineBaseSettings": {"id": line_base["id"], "name": line_base["name"]}}],
        "phoneMetaBase": base.body["phoneMetaBase"],
        "capabilities": base.body["capabilities"],
    }
    return Reply(200, body)


def create_phone(call: Call) -> Reply:
    """Make a phone and its station."""
    world, body = call.world, call.body
    base = _checked(world, body, "base.settings.required")
    user_id = _webrtc_user_id(world, body, base)
    _refuse_taken_name(world, body["name"], None)
    if user_id is not None and world.options.one_webrtc_phone_per_user and world.telephony.live_phones_of(user_id):
        message = f"user {user_id} has a WebRTC phone"
        raise ApiError(400, "webrtc.user.has.phone", message, field_name="webRtcUser.id", entity_id=user_id)
    phone = _make(world, body, base, user_id)
    wanted = body["lines"][0].get("defaultForUser", {}).get("id")
    if user_id is not None and wanted == user_id and world.options.default_for_user_sets_default:
        plan(world, world.user(user_id).default_station, phone.station_id)
    return Reply(200, render_phone(world, phone))


def update_phone(call: Call) -> Reply:
    """Replace what can be set of a phone; its lines and their ids stay."""
    world, body, phone = call.world, call.body, _phone(call)
    base = _checked(world, body, "base.settings.required")
    user_id = _webrtc_user_id(world, body, base)
    if body.get("version", phone.version) != phone.version:
        raise ApiError(409, "general.conflict", f"phone {phone.id} has another version", field_name="version")
    _refuse_taken_name(world, body["name"], phone)
    world.telephony.rename(phone, body["name"], user_id)
    phone.site_id, phone.base_id = body["site"]["id"], base.id
    phone.settings = {name: body[name] for name in _KEPT if name in body}
    phone.version += 1
    phone.modified = world.clock.iso(call.now_s)
    return Reply(200, render_phone(world, phone))


def delete_phone(call: Call) -> Reply:
    """Delete a phone; its station goes with it."""
    station = call.world.telephony.remove(_phone(call))
    call.world.release_station(station)
    return Reply(200)


def wildcard(pattern: str) -> Callable[[str | None], bool]:
    """Return the test of a filter value: equal without case, `*` standing for any text."""
    if "*" not in pattern:
        wanted = pattern.casefold()
        return lambda held: held is not None and held.casefold() == wanted
    expression = re.compile(".*".join(map(re.escape, pattern.split("*"))), re.IGNORECASE | re.DOTALL)
    return lambda held: held is not None and expression.fullmatch(held) is not None


def render_phone(world: World, phone: Phone) -> Json:
    """Return the whole entity."""
    entity: Json = phone.settings | {
        "id": phone.id,
        "name": phone.name,
        "division": world.division(world.home_division["id"]),
        "version": phone.version,
        "dateCreated": phone.created,
        "dateModified": phone.modified,
        "state": phone.state,
        "site": _reference(world.telephony.sites[phone.site_id]),
        "phoneBaseSettings": _reference(world.telephony.bases[phone.base_id].body),
        "lines": [_with_default_user(world, phone, line) for line in phone.lines],
        "standAlone": False,
        "selfUri": f"{EDGES}/phones/{phone.id}",
    }
    if phone.webrtc_user_id is not None:
        entity["webRtcUser"] = world.directory.users[phone.webrtc_user_id].reference()
    return entity


def _narrowed(call: Call) -> list[Phone]:
    """Start from an index where a filter names one user or one phone name."""
    user_id, name, telephony = call.query["webRtcUser.id"], call.query["name"], call.world.telephony
    if user_id is not None and "*" not in user_id:
        return telephony.phones_of(user_id)
    if name is not None and "*" not in name:
        return [phone for each in name.split(",") for phone in telephony.phones_named(each)]
    return list(telephony.phones.values())


def _listed(world: World, phone: Phone, expand: Any, shown_fields: Any) -> Json:
    entity = render_phone(world, phone)
    if "webRtcUser" not in shown_fields:
        entity.pop("webRtcUser", None)
    if "properties" not in expand and "properties.*" not in shown_fields:
        entity.pop("properties", None)
    shown = {"id", "name", "lineBaseSettings", "selfUri"} | ({"version", "state"} if "lines" in expand else set())
    if "lines.defaultForUser" in shown_fields:
        shown.add("defaultForUser")
    entity["lines"] = [{name: value for name, value in line.items() if name in shown} for line in entity["lines"]]
    return entity


def _make(world: World, body: Json, base: PhoneBase, user_id: str | None) -> Phone:
    now_s = world.clock.now_s()
    made_at = world.clock.iso(now_s)
    phone_id = world.ids.new("phone")
    lines = [_line(world, phone_id, line) for line in body["lines"]]
    station_id = lines[0]["id"] if world.options.line_id_is_station_id else world.ids.new("station")
    phone = Phone(
        id=phone_id,
        name=body["name"],
        site_id=body["site"]["id"],
        base_id=base.id,
        webrtc_user_id=user_id,
        lines=lines,
        settings={name: body[name] for name in _KEPT if name in body},
        created=made_at,
        modified=made_at,
        listed_at_s=now_s + world.options.phone_listing_lag_s,
        station_id=station_id,
    )
    station = Station(
        id=station_id,
        name=phone.name,
        phone_id=phone_id,
        webrtc_user_id=user_id,
        line_id=lines[0]["id"],
        type=STATION_TYPE_WEBRTC if base.is_webrtc else "inin_station",
        listed_at_s=now_s + world.lag_s(world.options.station_lag_s),
    )
    world.telephony.add(phone, station)
    return phone


def _line(world: World, phone_id: str, line: Json) -> Json:
    line_id = world.ids.new("line")
    return {
        "id": line_id,
        "name": line["name"],
        "version": 1,
        "state": "active",
        "lineBaseSettings": _reference(world.telephony.line_bases[line["lineBaseSettings"]["id"]]),
        "selfUri": f"{EDGES}/phones/{phone_id}/lines/{line_id}",
    }


def _checked(world: World, body: Json, base_code: str) -> PhoneBase:
    if not body["name"].strip():
        raise bad_field("name", "must not be blank")
    if body["site"].get("id") not in world.telephony.sites:
        raise bad_field("site.id", "no such site", "invalid.value")
    base = world.telephony.bases.get(body["phoneBaseSettings"]["id"])
    if base is None:
        raise bad_field("phoneBaseSettings.id", "no such phone base settings", base_code)
    if not body["lines"]:
        raise bad_field("lines", "at least one line is needed", "lines.required")
    offered = {line_base["id"] for line_base in base.line_bases}
    for at, line in enumerate(body["lines"]):
        if line.get("lineBaseSettings", {}).get("id") not in offered:
            raise bad_field(f"lines.{at}.lineBaseSettings.id", "not a line base of the phone base", "invalid.value")
    return base


def _webrtc_user_id(world: World, body: Json, base: PhoneBase) -> str | None:
    user_id = body.get("webRtcUser", {}).get("id")
    if not base.is_webrtc:
        if user_id is not None:
            raise bad_field("webRtcUser", "only a WebRTC phone has one", "invalid.value")
        return None
    if not user_id:
        raise bad_field("webRtcUser.id", "a WebRTC phone needs its user", "webrtc.user.required")
    if world.directory.existing(user_id) is None:
        raise bad_field("webRtcUser.id", f"no user {user_id[:60]}", "invalid.value")
    return str(user_id)


def _refuse_taken_name(world: World, name: str, own: Phone | None) -> None:
    if not world.options.unique_phone_names:
        return
    holders = (phone for phone in world.telephony.phones_named(name) if phone.state != "deleted" and phone is not own)
    holder = next(holders, None)
    if holder is not None:
        message = f"name: a phone named {name} exists"
        raise ApiError(400, "duplicate.value", message, field_name="name", entity_id=holder.id)


def _with_default_user(world: World, phone: Phone, line: Json) -> Json:
    user_id = _default_user_id(world, phone)
    return line if user_id is None else line | {"defaultForUser": world.directory.users[user_id].reference()}


def _default_user_id(world: World, phone: Phone) -> str | None:
    user = world.directory.users.get(phone.webrtc_user_id or "")
    if user is None:
        return None
    user.settle(world.clock.now_s())
    return user.id if user.default_station.station_id == phone.station_id else None


def _phone(call: Call) -> Phone:
    phone = call.world.telephony.phones.get(call.ids["phoneId"])
    if phone is None or phone.state == "deleted":
        raise not_found("phone", call.ids["phoneId"], "general.resource.not.found")
    return phone


def _reference(entity: Json) -> Json:
    return {name: entity[name] for name in ("id", "name", "selfUri")}


ROUTES: dict[tuple[str, str], Handler] = {
    ("GET", f"{EDGES}/phones"): list_phones,
    ("POST", f"{EDGES}/phones"): create_phone,
    ("GET", f"{EDGES}/phones/template"): get_template,
    ("GET", f"{EDGES}/phones/{{phoneId}}"): get_phone,
    ("PUT", f"{EDGES}/phones/{{phoneId}}"): update_phone,
    ("DELETE", f"{EDGES}/phones/{{phoneId}}"): delete_phone,
}
