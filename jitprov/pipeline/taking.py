"""Takes away from one agent what jitprov gave, thing by thing. Safe to repeat from the beginning at any moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from jitprov.domain.agent import Profile
from jitprov.domain.given import Given
from jitprov.genesys.access import AccessClient
from jitprov.genesys.removal import RemovalClient


def take(
    removals: RemovalClient, access: AccessClient, profile: Profile, things: Given, hold: Callable[[], None]
) -> None:
    """Take things away; what the profile shows to be gone already costs no call.

    Args:
        removals: Makes the calls.
        access: Takes languages.
        profile: Of the agent. Of a deleted one only the phone is there to be taken.
        things: What jitprov gave.
        hold: Called before each call; raises when the step is somebody else's by now, who may have given it back.
    """
    for remove in _removals(removals, access, profile, things):
        hold()
        remove()


def _removals(
    removals: RemovalClient, access: AccessClient, profile: Profile, things: Given
) -> Iterator[Callable[[], None]]:
    if profile.state != "deleted":
        yield from _from_a_user(removals, access, profile, things)
    if things.phone:
        yield partial(removals.remove_phone, things.phone.phone_id)


def _from_a_user(
    removals: RemovalClient, access: AccessClient, profile: Profile, things: Given
) -> Iterator[Callable[[], None]]:
    user_id = profile.user_id
    skills = {skill.skill_id for skill in profile.skills}
    languages = {language.language_id for language in profile.languages}
    yield from (partial(removals.remove_from_queue, user_id, queue.place_id) for queue in things.queues)
    groups = (group.place_id for group in things.groups if group.place_id in profile.group_ids)
    yield from (partial(removals.remove_from_group, user_id, group_id) for group_id in groups)
    if things.roles:
        yield partial(removals.revoke_roles, user_id, things.roles)
    yield from (
        partial(removals.remove_skill, user_id, each.skill_id) for each in things.skills if each.skill_id in skills
    )
    spoken = (each.language_id for each in things.languages if each.language_id in languages)
    yield from (partial(access.remove_language, user_id, language_id) for language_id in spoken)
    if things.utilization:
        yield partial(removals.reset_utilization, user_id)
    if things.division and things.division_before and things.division.place_id == profile.division_id:
        yield partial(removals.move_back, user_id, things.division_before.place_id)
