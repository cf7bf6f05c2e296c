"""Routes of stations: look up, and make one a user's default or associated station.

Assignments are accepted (202) and take effect after a lag. A station shows in the listing only after its own lag.
"""

from __future__ import annotations

from jitprov.sandbox.answers import ApiError, Json, Reply, not_found, page_of
from jitprov.sandbox.calls import Call, Handler
from jitprov.sandbox.directory import Assignment, User
from jitprov.sandbox.telephony import Station
from jitprov.sandbox.world import World


def list_stations(call: Call) -> Reply:
    """Return a page of the stations that the search index knows by now."""
    query, telephony, now_s = call.query, call.world.telephony, call.now_s
    user_id = query["webRtcUserId"]
    found = list(telephony.stations.values()) if user_id is None else telephony.stations_of(user_id)
    if query["id"] is not None:
        wanted = set(query["id"].split(","))
        found = [station for station in found if station.id in wanted]
    if query["name"] is not None:
        name = query["name"].casefold()
        found = [station for station in found if station.name.casefold() == name]
    if query["lineAppearanceId"] is not None:
        found = [station for station in found if station.line_id == query["lineAppearanceId"]]
    visible = [station for station in found if station.listed_at_s <= now_s]
    visible.sort(key=lambda station: station.name)
    return page_of(visible, query, call.path, Station.to_json, counted=True)


def get_station(call: Call) -> Reply:
    """Return one station; it can be read from the moment it exists."""
    return Reply(200, _station(call).to_json())


def get_stations_of_user(call: Call) -> Reply:
    """Return a user's stations."""
    return Reply(200, stations_of(call.world, call.world.user(call.ids["userId"])))


def assign_default(call: Call) -> Reply:
    """Accept a station as a user's default."""
    user, station = call.world.user(call.ids["userId"]), _assignable_station(call)
    plan(call.world, user.default_station, station.id)
    return Reply(202)


def assign_associated(call: Call) -> Reply:
    """Accept a station as a user's associated one, unless another user has it."""
    world = call.world
    user, station = world.user(call.ids["userId"]), _assignable_station(call)
    if station.associated_user_id not in {None, user.id}:
        message = f"station {station.id} is associated with another user"
        raise ApiError(409, "userservice.stationalreadyassociated", message, entity_id=station.id)
    _let_go(world, user)
    station.associated_user_id = user.id
    plan(world, user.associated_station, station.id)
    return Reply(202)


def remove_default(call: Call) -> Reply:
    """Accept that a user has no default station."""
    plan(call.world, call.world.user(call.ids["userId"]).default_station, None)
    return Reply(202)


def remove_associated(call: Call) -> Reply:
    """Accept that a user has no associated station."""
    user = call.world.user(call.ids["userId"])
    _let_go(call.world, user)
    plan(call.world, user.associated_station, None)
    return Reply(202)


def free_station(call: Call) -> Reply:
    """Take a station from the user it is associated with."""
    station = _station(call)
    user = call.world.directory.users.get(station.associated_user_id or "")
    station.associated_user_id = None
    if user is not None:
        user.associated_station.clear_of(station.id, call.now_s)
    return Reply(200)


def plan(world: World, assignment: Assignment, station_id: str | None) -> None:
    """Let an assignment change after the lag that the options say."""
    now_s = world.clock.now_s()
    assignment.become(station_id, now_s + world.lag_s(world.options.assignment_lag_s))
    assignment.settle(now_s)


def stations_of(world: World, user: User) -> Json:
    """Return the stations in effect for a user."""
    answer: Json = {}
    for name, assignment in (("associatedStation", user.associated_station), ("defaultStation", user.default_station)):
        station = world.telephony.stations.get(assignment.station_id or "")
        if station is not None:
            answer[name] = _short(world, user, station, assignment, name)
    effective = answer.get("associatedStation") or answer.get("defaultStation")
    return answer if effective is None else answer | {"effectiveStation": effective}


def _short(world: World, user: User, station: Station, assignment: Assignment, name: str) -> Json:
    holder = user.reference() | {"version": user.version}
    entry: Json = {"id": station.id, "name": station.name, "type": station.type, "webRtcCallAppearances": 100}
    if name == "defaultStation":
        return entry | {"defaultUser": holder}
    return entry | {"associatedUser": holder, "associatedDate": world.clock.iso(assignment.since_s)}


def _station(call: Call) -> Station:
    station = call.world.telephony.stations.get(call.ids["stationId"])
    if station is None:
        raise not_found("station", call.ids["stationId"], "general.resource.not.found")
    return station


def _assignable_station(call: Call) -> Station:
    station, user_id = _station(call), call.ids["userId"]
    if call.world.options.default_station_needs_visible_station and station.listed_at_s > call.now_s:
        raise not_found("station", station.id, "general.resource.not.found")
    if station.webrtc_user_id not in {None, user_id}:
        message = f"station {station.id} is the WebRTC station of another user"
        raise ApiError(400, "bad.request", message, entity_id=station.id)
    return station


def _let_go(world: World, user: User) -> None:
    for station_id in (user.associated_station.station_id, user.associated_station.coming_station_id):
        station = world.telephony.stations.get(station_id or "")
        if station is not None and station.associated_user_id == user.id:
            station.associated_user_id = None


ROUTES: dict[tuple[str, str], Handler] = {
    ("GET", "/api/v2/stations"): list_stations,
    ("GET", "/api/v2/stations/{stationId}"): get_station,
    ("DELETE", "/api/v2/stations/{stationId}/associateduser"): free_station,
    ("GET", "/api/v2/users/{userId}/station"): get_stations_of_user,
    ("PUT", "/api/v2/users/{userId}/station/defaultstation/{stationId}"): assign_default,
    ("DELETE", "/api/v2/users/{userId}/station/defaultstation"): remove_default,
    ("PUT", "/api/v2/users/{userId}/station/associatedstation/{stationId}"): assign_associated,
    ("DELETE", "/api/v2/users/{userId}/station/associatedstation"): remove_associated,
}
