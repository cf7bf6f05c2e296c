"""The steps of the corridor as plain functions: a record in, what was found out.

Each may run again at any moment, after any crash: it reads what an earlier run may have done before it makes
anything that must not exist twice. None knows Celery, Redis or the settings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from jitprov.domain.agent import Phone, Profile, WantedState
from jitprov.domain.difference import shares_to_set
from jitprov.domain.events import Kind
from jitprov.domain.given import Given, Memory, to_be_given
from jitprov.domain.provisioning import Findings, Provisioning, Step
from jitprov.domain.skills import complete_shares, diff_languages, diff_skills, extra_languages
from jitprov.errors import AgentGone, NameUnknown, NotYetConsistent, Refused, SkillUnknown, StationLate
from jitprov.genesys.naming import with_ids, with_lines
from jitprov.genesys.payloads import phone_name
from jitprov.genesys.stations import StationSource
from jitprov.pipeline.aims import is_at, looked_at, to_be_taken, wanted_of
from jitprov.pipeline.kit import Kit
from jitprov.pipeline.surplus import take_back
from jitprov.pipeline.taking import take

# API seconds until an assignment is looked at, and until one without effect is given up.
_EFFECT_S = 2.0
_EFFECT_MAX_S = 10.0
# Share of the learned wait from which a look is worth its call.
_WAITED_ENOUGH = 0.9
# After a look in vain: so much of the time waited so far again, and no less than a second.
_LONGER = 0.6
_LOOK_AGAIN_S = 1.0


def fetch_profile(record: Provisioning, kit: Kit) -> Findings:
    """Read the agent's profile, most often from a read that served a hundred agents."""
    since = record.asked_at or (None if record.kind is Kind.NEW else record.accepted_at)
    profile = kit.profiles.of(record.user_id, since=since)
    return replace(record.findings, profile=_alive(record, profile))


def resolve_skills(record: Provisioning, kit: Kit) -> Findings:
    """Turn rules and profile into the wanted state, with the ids of all that it names, and what is too much.

    Waits, for a bounded time, for the department or title of an agent who has neither.
    """
    profile = _profile(record)
    outdated = record.generation > 1 or record.steps[Step.RESOLVE_SKILLS].waited_s > 0
    if outdated or (profile.locations is None and kit.rules.looks_at_location()):
        # Somebody mended something before the retry, or filled in what was waited for; or the rules look at more now.
        profile = _alive(record, kit.profiles.fresh(record.user_id))
    book = kit.rules.in_force()
    waited_s = (kit.now - record.accepted_at).total_seconds() * kit.time_scale if kit.now else 0.0
    wanted = wanted_of(record, profile, book, wait_s=kit.profile_wait_max_s - waited_s)
    if record.kind is not Kind.UNDO:
        wanted = _resolved(wanted, kit)
    return replace(
        record.findings,
        profile=looked_at(record, profile, wanted, kit.memory, kit.holdings),
        wanted=wanted,
        to_take=to_be_taken(record, profile, wanted, kit.memory, book, kit.holdings),
    )


def patch_skills(record: Provisioning, kit: Kit) -> Findings:
    """Give the agent the wanted skills and languages; no call for what is there. Safe to repeat.

    When the API does not take them, their ids may be of what was deleted and made anew since: then they are resolved
    again, and sent once more if that changed anything.
    """
    wanted = _wanted(record)
    try:
        _send_skills(record, kit, wanted)
    except (Refused, NotYetConsistent):
        kit.catalogue.forget_skills()
        if wanted.languages:
            kit.belongings.forget()
        anew = _resolved(wanted, kit)
        if anew == wanted:
            raise
        wanted = anew
        _send_skills(record, kit, wanted)
    lacked = to_be_given(wanted, _profile(record))
    return replace(
        record.findings,
        wanted=wanted,
        given=record.findings.given + Given(skills=lacked.skills, languages=lacked.languages),
        taken=record.findings.taken + _replaced(wanted, kit.memory),
    )


def _replaced(wanted: WantedState, memory: Memory) -> Given:
    """Return the skills and languages that jitprov gave before and that replacing took away."""
    gone = Given(skills=memory.given.skills) - Given(skills=wanted.skills)
    if wanted.languages:
        gone += Given(languages=memory.given.languages) - Given(languages=wanted.languages)
    return gone if wanted.mode == "replace" else Given()


def _send_skills(record: Provisioning, kit: Kit, wanted: WantedState) -> None:
    changes = diff_skills(wanted, _profile(record).skills)
    if changes is not None and wanted.mode == "replace":
        kit.genesys.put_routing_skills(record.user_id, changes)
    elif changes is not None:
        kit.genesys.patch_routing_skills(record.user_id, changes)
    languages = diff_languages(wanted.languages, _profile(record).languages)
    if languages:
        kit.access.patch_languages(record.user_id, languages)
    # The API has no replacing of languages: one call for each that is too many.
    for language in extra_languages(wanted, _profile(record).languages):
        kit.access.remove_language(record.user_id, language.language_id)


def _resolved(wanted: WantedState, kit: Kit) -> WantedState:
    try:
        return with_ids(wanted, kit.catalogue, kit.belongings)
    except (SkillUnknown, NameUnknown) as error:
        raise with_lines(error, kit.rules.name_lines()) from None


def create_phone(record: Provisioning, kit: Kit) -> Findings:
    """Give the agent one WebRTC phone.

    Looks before it creates whenever an earlier attempt may have gone through: any attempt but the very first,
    an agent who has a default station already, and every agent after the ledger was lost.
    """
    wanted, profile = _wanted(record), _profile(record)
    if not wanted.phone:
        return record.findings
    known = kit.memory.given
    if known.phone and known.station_id and known.station_id == profile.default_station_id:
        kept = replace(known.phone, made=True)
        return replace(record.findings, phone=kept, station_id=known.station_id)
    first_try = record.kind is Kind.NEW and record.generation == 1 and record.steps[Step.CREATE_PHONE].attempts <= 1
    phone: Phone | None = None
    if not first_try or kit.look_first or profile.default_station_id:
        phones = kit.genesys.find_phones(record.user_id)
        name = phone_name(profile)
        # The name says whose it is: what jitprov made is told from what was there, and stays where there are both.
        ours = [replace(each, made=True) for each in phones if each.name == name]
        phone = next(iter([*ours, *phones]), None)
        if phone and record.kind is not Kind.NEW and is_at(profile, phone, kit.holdings):
            return _at(record, phone, profile.default_station_id)
    if phone is None:
        setup = kit.catalogue.phone_setup(wanted.site, wanted.phone_base)
        # Asked when the slot has come, not before: waiting for it may outlast the lease.
        made = kit.genesys.create_phone(record.user_id, phone_name(profile), setup, about_to_send=kit.hold)
        phone = replace(made, made=True)
    given = Given(phone=phone) if phone.made else Given()
    return replace(record.findings, phone=phone, given=record.findings.given + given)


def assign_station(record: Provisioning, kit: Kit) -> Findings:
    """Make the phone's station the agent's default station; wait while it is not there yet. Safe to repeat.

    Where the phone took more than one attempt, an earlier one may have made a second, late: it is looked for once more.
    """
    phone = record.findings.phone
    if phone is None or record.findings.station_id:
        return record.findings
    station_id = _stationed(record, kit, phone)
    if record.steps[Step.CREATE_PHONE].attempts > 1:
        take_back(record, kit.genesys)
    return _at(record, phone, station_id)


def _at(record: Provisioning, phone: Phone, station_id: str) -> Findings:
    given = record.findings.given + (Given(phone=phone, station_id=station_id) if phone.made else Given())
    return replace(record.findings, phone=phone, station_id=station_id, given=given)


def _stationed(record: Provisioning, kit: Kit, phone: Phone) -> str:
    source = kit.stations.source() if kit.station_source == "auto" else kit.station_source
    tried = source is None and _try_line_id(record, kit, phone)
    return phone.line_id if tried else _assign(record, kit, phone, source or kit.stations.source() or "lookup")


def _try_line_id(record: Provisioning, kit: Kit, phone: Phone) -> bool:
    """Find out for all whether a line's id is its station's id: one agent tries, the others wait for it.

    The API answers 202 before it acts, so it is believed only once the agent's default station says so.
    """
    with kit.stations.trial(record.user_id) as trial:
        if trial == "over":
            return False
        if trial == "yours":
            if not kit.genesys.set_default_station(record.user_id, phone.line_id):
                kit.stations.tried_in_vain()
                return False
            kit.stations.trying(record.user_id)
        elif trial == "under_way":
            if kit.genesys.get_default_station(record.user_id) == phone.line_id:
                kit.stations.learn("line_id")
                return True
            if record.steps[Step.ASSIGN_STATION].waited_s >= _EFFECT_MAX_S:
                kit.stations.tried_in_vain()
                return False
        raise StationLate("it is being found out where station ids come from", wait_s=_EFFECT_S)


def _assign(record: Provisioning, kit: Kit, phone: Phone, source: StationSource) -> str:
    waited_s = record.steps[Step.ASSIGN_STATION].waited_s
    wait_s = kit.stations.wait_s(source)
    if waited_s < wait_s * _WAITED_ENOUGH:
        # A look now would be a call for nothing.
        raise StationLate("the phone's station is given time to appear", wait_s=wait_s - waited_s)
    late = StationLate("the phone's station is not there yet", wait_s=max(waited_s * _LONGER, _LOOK_AGAIN_S))
    if source == "line_id":
        taken = kit.genesys.set_default_station(record.user_id, phone.line_id)
        kit.stations.looked(source, after_s=waited_s, found=taken)
        if taken:
            return phone.line_id
        if kit.station_source == "line_id" or not waited_s:
            raise late
    station_id = kit.genesys.find_station(record.user_id)
    kit.stations.looked("lookup", after_s=waited_s, found=station_id is not None)
    if station_id is None:
        raise late
    if kit.station_source == "auto":
        kit.stations.compare(same=station_id == phone.line_id)
    if not kit.genesys.set_default_station(record.user_id, station_id):
        raise NotYetConsistent("the station was found but could not be set as default yet", http_status=404)
    return station_id


def set_utilization(record: Provisioning, kit: Kit) -> Findings:
    """Set how much the agent handles at once; no call where the organization's utilization fits. Safe to repeat.

    A new agent has none of their own. Who has is looked at where an operator asks to mend, and else may keep it.
    """
    usual = kit.belongings.utilization()
    shares = sent = complete_shares(_wanted(record).utilization, usual)
    if record.kind is Kind.MEND:
        sent = shares_to_set(_wanted(record), kit.access.get_utilization(record.user_id), usual)
    elif all(usual.get(share.media) == share for share in shares):
        return replace(record.findings, utilization="organization")
    if not sent or (record.kind is not Kind.MEND and shares == kit.memory.given.utilization):
        return replace(record.findings, utilization="own")
    kit.access.put_utilization(record.user_id, sent)
    return replace(record.findings, utilization="own", given=record.findings.given + Given(utilization=shares))


def grant_access(record: Provisioning, kit: Kit) -> Findings:
    """Give the agent division, roles, groups and queues, most often by calls that serve many. Safe to repeat."""
    # After an operator's retry, or a lost ledger, what is remembered of earlier calls counts for nothing.
    anew = record.generation > 1 or kit.look_first or record.steps[Step.GRANT_ACCESS].attempts > 1
    wanted, profile = _wanted(record), _profile(record)
    try:
        access = kit.grants.give(record.user_id, wanted, profile, anew=anew)
    except (Refused, NotYetConsistent):
        kit.belongings.forget()
        resolved = _resolved(wanted, kit)
        if resolved == wanted:
            raise
        wanted = resolved
        access = kit.grants.give(record.user_id, wanted, profile, anew=True)
    given = record.findings.given + replace(to_be_given(wanted, profile), skills=(), languages=(), utilization=())
    return replace(record.findings, wanted=wanted, access=access, given=given)


def take_away(record: Provisioning, kit: Kit) -> Findings:
    """Take away what jitprov gave, and queues that are replaced, where nobody wants them any more. Safe to repeat."""
    things = record.findings.to_take
    kit.grants.forget_notes(record.user_id)
    take(kit.removals, kit.access, _profile(record), things, kit.hold)
    return replace(record.findings, taken=record.findings.taken + things)


def _alive(record: Provisioning, profile: Profile) -> Profile:
    if profile.state == "deleted" and record.kind in {Kind.NEW, Kind.UNDO, Kind.MEND}:
        raise AgentGone("the user is deleted in Genesys Cloud")
    return profile


def _profile(record: Provisioning) -> Profile:
    if record.findings.profile is None:
        msg = f"{record.step} needs the profile that fetch_profile finds"
        raise RuntimeError(msg)
    return record.findings.profile


def _wanted(record: Provisioning) -> WantedState:
    if record.findings.wanted is None:
        msg = f"{record.step} needs the wanted state that resolve_skills finds"
        raise RuntimeError(msg)
    return record.findings.wanted


STEPS: Mapping[Step, Callable[[Provisioning, Kit], Findings]] = {
    Step.FETCH_PROFILE: fetch_profile,
    Step.RESOLVE_SKILLS: resolve_skills,
    Step.PATCH_SKILLS: patch_skills,
    Step.CREATE_PHONE: create_phone,
    Step.ASSIGN_STATION: assign_station,
    Step.SET_UTILIZATION: set_utilization,
    Step.GRANT_ACCESS: grant_access,
    Step.TAKE_AWAY: take_away,
}
