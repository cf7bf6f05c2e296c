"""The organization as a judge wants to see it: each user with what they have by now."""

from __future__ import annotations

from jitprov.sandbox.answers import Json
from jitprov.sandbox.directory import User
from jitprov.sandbox.world import World


def report_state(world: World, user_id: str | None) -> Json:
    """Return all users, or one; deleted ones too, deleted phones not."""
    users = world.directory.users
    shown = users.values() if user_id is None else [users[user_id]] if user_id in users else []
    return {
        "now_s": world.clock.now_s(),
        "default_site_id": next(iter(world.telephony.sites)),
        "organization": {
            "home_division": world.home_division["name"],
            "divisions": {each["id"]: each["name"] for each in world.divisions.values()},
            "utilization": world.utilization["utilization"],
            "sites": {each["id"]: each["name"] for each in world.telephony.sites.values()},
            "phone_bases": {base.id: base.name for base in world.telephony.bases.values()},
        },
        "users": [_user(world, user) for user in shown],
    }


def _user(world: World, user: User) -> Json:
    user.settle(world.clock.now_s())
    return {
        "id": user.id,
        "name": user.name,
        "email": user.email,
        "department": user.profile.get("department"),
        "title": user.profile.get("title"),
        "locations": [each["locationDefinition"]["name"] for each in user.profile.get("locations", ())],
        "state": user.state,
        "version": user.version,
        "division_id": user.division_id,
        "skills": [
            {"id": each, "name": world.skills.by_id[each].name, "proficiency": rating}
            for each, rating in user.skills.items()
        ],
        "languages": [
            {"id": each, "name": world.languages.by_id[each].name, "proficiency": rating}
            for each, rating in user.languages.items()
        ],
        "utilization": user.utilization,
        **world.access.report(user.id),
        "phones": [
            {
                "id": phone.id,
                "name": phone.name,
                "site_id": phone.site_id,
                "phone_base_id": phone.base_id,
                "line_id": phone.lines[0]["id"],
                "station_id": phone.station_id,
            }
            for phone in world.telephony.live_phones_of(user.id)
        ],
        "default_station_id": user.default_station.station_id,
        "associated_station_id": user.associated_station.station_id,
    }
