"""What is taken away of what jitprov gave, as changes and calls, in the order in which they go. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from jitprov.domain.agent import Profile
from jitprov.domain.change import Call, Change, What
from jitprov.domain.given import Given

_ROUTES: Mapping[What, tuple[str, str]] = {
    "queue": ("DELETE", "/api/v2/routing/queues/{queueId}/members/{memberId}"),
    "group": ("DELETE", "/api/v2/groups/{groupId}/members"),
    "role": ("POST", "/api/v2/authorization/subjects/{subjectId}/bulkremove"),
    "skill": ("DELETE", "/api/v2/users/{userId}/routingskills/{skillId}"),
    "language": ("DELETE", "/api/v2/users/{userId}/routinglanguages/{languageId}"),
    "utilization": ("DELETE", "/api/v2/routing/users/{userId}/utilization"),
    "division": ("POST", "/api/v2/authorization/divisions/{divisionId}/objects/{objectType}"),
}


def withdrawn(things: Given, profile: Profile) -> tuple[list[Change], list[Call]]:
    """Return what taking things away changes, and the calls; what the profile shows to be gone costs none.

    Args:
        things: What jitprov gave; a phone among them is left out, since it is kept.
        profile: Of the agent.
    """
    skills = {skill.skill_id for skill in profile.skills}
    languages = {language.language_id for language in profile.languages}
    gone: list[tuple[What, str, str]] = [("queue", queue.name, queue.place_id) for queue in things.queues]
    gone += [("group", each.name, each.place_id) for each in things.groups if each.place_id in profile.group_ids]
    gone += [("role", f"{each.role} in {each.division or 'the home division'}", "") for each in things.roles]
    gone += [("skill", each.name, each.skill_id) for each in things.skills if each.skill_id in skills]
    gone += [("language", each.name, each.language_id) for each in things.languages if each.language_id in languages]
    gone += [("utilization", share.media, "") for share in things.utilization]
    if things.division and things.division_before and things.division.place_id == profile.division_id:
        gone.append(("division", things.division.name, things.division_before.place_id))
    changes = [Change(what, name, "take", before=name) for what, name, _ in gone]
    # Roles go by one call, and so does utilization.
    calls = dict.fromkeys(Call(*_ROUTES[what], thing) for what, _, thing in gone)
    return changes, list(calls)
