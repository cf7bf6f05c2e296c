"""Whatever an agent has and the rules want: what they have in the end is told by one line a mode, written anew here."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from builders import a_profile, a_provisioning, a_wanted_state
from fake_organization import FakeOrganization, a_kit
from jitprov.domain.agent import RatedSkill
from jitprov.domain.provisioning import Findings, Step
from jitprov.errors import Unavailable
from jitprov.pipeline import steps

NAMES = [*"ABCDEFGH", "a", "Order Tracking"]
RATED = st.dictionaries(st.sampled_from(NAMES), st.sampled_from([0.0, 1.0, 2.5, 5.0]), max_size=8)


def _id(name: str) -> str:
    return f"id-of-{name}"


@settings(max_examples=150)
@given(RATED, RATED, st.sampled_from(["merge", "replace"]), st.sampled_from(["well", "refused once", "answer lost"]))
def test_skills_end_as_the_rules_say(has: dict[str, float], wants: dict[str, float], mode: str, goes: str) -> None:
    """Added to or replaced, at once or after a lost call, walked once or twice: as wanted, and nothing beside."""
    organization = FakeOrganization()
    organization.known_skills = {name: _id(name) for name in NAMES}
    agent = organization.add(a_profile())
    agent.skills.update({_id(name): rating for name, rating in has.items()})
    skills = tuple(RatedSkill(name, rating, _id(name)) for name, rating in wants.items())
    wanted = a_wanted_state(mode=mode, skills=skills)
    should = {_id(name): rating for name, rating in (wants if mode == "replace" else {**has, **wants}).items()}

    def meddle(name: str, apply: Any) -> Any:
        organization.meddle = lambda _, apply: apply()
        if goes == "answer lost":
            apply()
        raise Unavailable("503")

    findings = Findings(profile=organization.of(agent.profile.user_id), wanted=wanted)
    record = a_provisioning(user_id=agent.profile.user_id, step=Step.PATCH_SKILLS, findings=findings)
    if goes != "well":
        organization.meddle = meddle
    for _ in range(2):  # the second time as after a crash: with what was known the first time
        try:
            steps.patch_skills(record, a_kit(organization))
        except Unavailable:
            steps.patch_skills(record, a_kit(organization))
    assert agent.skills == should

    organization.meddle = lambda _, apply: apply()
    seen = replace(findings, profile=organization.of(agent.profile.user_id))
    before = len(organization.calls)
    steps.patch_skills(replace(record, findings=seen), a_kit(organization))
    assert agent.skills == should
    assert len(organization.calls) == before  # who has it all is spared the call
