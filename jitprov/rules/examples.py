"""Tests that stand in the rules file: a profile, and what it must get. Says what differs; judges no organization.

    tests:
      - name: A retail agent in Lyon
        profile: {department: Seasonal_Retail, title: Agent, division: Home, email: someone@example.test}
        expect:
          rules: [Seasonal retail]
          skills: {Customer_Service: 1.0, Order_Tracking: 1.0}
          phone: true
      - name: Payroll
        profile: {department: Payroll}
        expect: no rule

What `expect` leaves out is not compared; what it names must be equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from jitprov.domain.agent import MediaShare, Priority, Profile, RoleGrant, WantedState
from jitprov.rules.given import (
    LIST,
    MAPPING,
    ONE,
    Name,
    Part,
    Rated,
    Roles,
    Utilization,
    grants_of,
    rated,
    share_of,
)

Text = Annotated[str, Field(max_length=200)]


def _one_or_list(value: Any) -> str:
    return LIST if isinstance(value, (list, tuple)) else ONE


class GivenProfile(Part):
    """What rules look at; what is left out is empty."""

    department: Text = ""
    title: Text = ""
    division: Text = ""
    email: Text = ""
    location: Annotated[
        Annotated[Text, Tag(ONE)] | Annotated[list[Text], Field(min_length=1), Tag(LIST)], Discriminator(_one_or_list)
    ] = ""


class Expected(Part):
    """What the agent must get; what is left out is not compared."""

    rules: list[Name] | None = None
    mode: Literal["merge", "replace"] | None = None
    phone: bool | None = None
    priority: Priority | None = None
    site: Text | None = Field(
        default=None, description="Name of the phone's site; \"\" for the organization's default."
    )
    phone_base: Text | None = Field(default=None, description='Name of the phone\'s base; "" for the first there is.')
    skills: Rated | None = None
    languages: Rated | None = None
    utilization: Utilization | None = None
    division: Text | None = Field(default=None, description='Name of the division; "" for none.')
    roles: Roles | None = None
    groups: list[Name] | None = None
    queues: list[Name] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Expected:
        if not self.model_fields_set:
            msg = "names nothing to compare; name at least one thing, or write: no rule"
            raise ValueError(msg)
        return self


def _no_rule_or_mapping(value: Any) -> str:
    return ONE if isinstance(value, str) else MAPPING


class Example(Part):
    """One test."""

    name: Name
    profile: GivenProfile
    expect: Annotated[
        Annotated[Literal["no rule"], Tag(ONE)] | Annotated[Expected, Tag(MAPPING)],
        Discriminator(_no_rule_or_mapping),
    ]


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which a profile does not get what its test expects."""

    what: str
    expected: Any
    got: Any


def profile_of(example: Example) -> Profile:
    """Return the profile that a test describes."""
    given = example.profile
    locations = (given.location,) if isinstance(given.location, str) else tuple(given.location)
    return Profile(
        "",
        email=given.email,
        department=given.department,
        title=given.title,
        division=given.division,
        locations=locations,
    )


def differences(example: Example, wanted: WantedState | None) -> list[Difference]:
    """Return how what a profile gets differs from what its test expects.

    Args:
        example: The test.
        wanted: What the profile gets; None when no rule covers it.
    """
    if isinstance(example.expect, str) or wanted is None:
        expected = "no rule" if isinstance(example.expect, str) else "a rule"
        got = "no rule" if wanted is None else f"rules {list(wanted.rules)}"
        return [] if expected == got else [Difference("rules", expected, got)]
    got_all, found = plain(wanted), []
    for what in sorted(example.expect.model_fields_set):
        expected, got = _plain_expected(what, getattr(example.expect, what), wanted), got_all[what]
        if expected != got:
            found.append(Difference(what, expected, got))
    return found


def plain(wanted: WantedState) -> dict[str, Any]:
    """Return a wanted state as plain values that can be compared and shown: sorted, without ids."""
    return {
        "rules": list(wanted.rules),
        "mode": wanted.mode,
        "phone": wanted.phone,
        "priority": wanted.priority,
        "site": wanted.site,
        "phone_base": wanted.phone_base,
        "skills": {skill.name: skill.proficiency for skill in wanted.skills},
        "languages": {language.name: language.proficiency for language in wanted.languages},
        "utilization": {share.media: _plain_share(share) for share in wanted.utilization},
        "division": wanted.division.name if wanted.division else "",
        "roles": sorted(_plain_grant(grant) for grant in wanted.roles),
        "groups": sorted(group.name for group in wanted.groups),
        "queues": sorted(queue.name for queue in wanted.queues),
    }


def _plain_share(share: MediaShare) -> str:
    interrupted = (
        "" if share.interruptible is None else f", interruptible by {', '.join(share.interruptible) or 'none'}"
    )
    return f"{share.capacity} at once{interrupted}"


def _plain_grant(grant: RoleGrant) -> str:
    return f"{grant.role} in {grant.division or 'the home division'}"


def _plain_expected(what: str, value: Any, wanted: WantedState) -> Any:
    match what:
        case "skills" | "languages":
            return rated(value)
        case "utilization":
            return {media: _plain_share(share_of(media, entry)) for media, entry in value.items()}
        case "roles":
            own = wanted.division.name if wanted.division else ""
            return sorted(_plain_grant(grant) for role in value for grant in grants_of(role, own))
        case "groups" | "queues":
            return sorted(value)
        case _:
            return value
