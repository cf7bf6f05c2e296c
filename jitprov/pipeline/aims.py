"""What a provisioning is to bring about: what the agent shall have, and what is taken away of what jitprov gave.

An event says that something happened, the profile says what is: an agent who is deleted or inactive leaves, whatever
the event was called, and whichever came last (docs/decisions/0030).
"""

from __future__ import annotations

from dataclasses import replace

from jitprov.domain.agent import Phone, Profile, WantedState
from jitprov.domain.events import Kind
from jitprov.domain.given import Given, Memory, settled, surplus, wanted_again
from jitprov.domain.provisioning import Provisioning
from jitprov.errors import ProfileIncomplete
from jitprov.genesys.holdings import HoldingsClient
from jitprov.rules.engine import RuleBook

_LATER = frozenset({Kind.CHANGE, Kind.RETURN})
_FILLED_IN_LATER = frozenset({Kind.NEW, Kind.RETURN})


def leaves(record: Provisioning, profile: Profile) -> bool:
    """Tell whether the agent has left: deleted or deactivated since."""
    return record.kind in _LATER and profile.state != "active"


def wanted_of(record: Provisioning, profile: Profile, book: RuleBook, *, wait_s: float) -> WantedState:
    """Return what an agent shall have, its ids still empty where they come from the rules.

    Args:
        record: What for.
        profile: Of the agent, read after the events that it serves.
        book: The rules.
        wait_s: How long department and title may still be waited for, in API seconds.

    Raises:
        ProfileIncomplete: Neither is there yet, and the rules look at them.
        NoRuleMatched: No rule covers the agent and `unmatched` is `fail`.
    """
    if record.kind is Kind.UNDO:
        return wanted_again(record.findings.order)
    if record.kind is Kind.CLEANUP or leaves(record, profile):
        return WantedState(phone=False, rules_version=book.rules_version)
    filled_in = profile.department.strip() or profile.title.strip()
    if not filled_in and wait_s > 0 and book.looks_at_department_or_title and record.kind in _FILLED_IN_LATER:
        raise ProfileIncomplete("neither department nor title is filled in yet", wait_s=wait_s)
    return book.wanted_for(profile)


def to_be_taken(
    record: Provisioning,
    profile: Profile,
    wanted: WantedState,
    memory: Memory,
    book: RuleBook,
    holdings: HoldingsClient,
) -> Given:
    """Return what is to be taken away: of what jitprov itself gave, and in `replace` mode of queues whoever gave them.

    A new agent is in no queue yet and is not looked at. Roles and groups made by hand stay: what comes by a group, or
    by a group's rule, cannot be told for sure from what was given directly.

    Args:
        record: What for.
        profile: Of the agent.
        wanted: With ids.
        memory: What jitprov gave.
        book: The rules.
        holdings: Tells in which queues the agent is; asked only where replacing takes some.
    """
    given = settled(memory, profile)
    if record.kind is Kind.UNDO:
        return Given()
    if record.kind is Kind.CLEANUP:
        return given - (given - record.findings.order)
    if leaves(record, profile):
        return Given(phone=given.phone, station_id=given.station_id) if book.release_phone else Given()
    left = surplus(given, wanted)
    if wanted.replaces_queues and record.kind is not Kind.NEW:
        left += Given(queues=holdings.spare_queues(record.user_id, kept=wanted.queue_ids))
    return left


def looked_at(
    record: Provisioning, profile: Profile, wanted: WantedState, memory: Memory, holdings: HoldingsClient
) -> Profile:
    """Return the profile with roles and queues: what is there of them is not given, and never taken away.

    Of a new agent, made seconds ago, the profile tells the roles, at no further call but where it left them out; queues
    are taken for not there. Of any other, what jitprov gave is taken to be there, and the rest looked for: one call for
    roles, one or two for queues, none when nothing is wanted beyond it.
    An operator who asks to mend does so since something was taken away: then nothing is taken to be there.
    """
    if not wanted.asks_access:
        return profile
    if record.kind is Kind.NEW:
        unknown = wanted.roles and profile.held_role_ids is None
        return replace(profile, role_ids=tuple(sorted(holdings.grants_of(record.user_id)))) if unknown else profile
    given = Given() if record.kind is Kind.MEND else settled(memory, profile)
    roles = {(grant.role_id, grant.division_id) for grant in given.roles}
    if {(grant.role_id, grant.division_id) for grant in wanted.roles} - roles:
        roles |= holdings.grants_of(record.user_id)
    queues = {queue.place_id for queue in given.queues}
    wished = frozenset(queue.place_id for queue in wanted.queues)
    if wished - queues:
        queues |= holdings.queues_of(record.user_id, enough=wished)
    return replace(profile, role_ids=tuple(sorted(roles)), queue_ids=tuple(sorted(queues)), held_role_ids=None)


def is_at(profile: Profile, phone: Phone, holdings: HoldingsClient) -> bool:
    """Tell whether an agent's default station is their phone's: by the line's id, else by one look."""
    station_id = profile.default_station_id
    if not station_id or station_id == phone.line_id:
        return bool(station_id)
    return holdings.users_of_stations([station_id]).get(station_id) == profile.user_id
