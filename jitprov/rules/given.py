"""What a rule can give an agent: skills, languages, utilization, division, roles, groups, queues. Strict, no decisions.

    skills:    {Customer_Service: 3.5}           or a list of {name, proficiency}
    languages: {French: 4}                       likewise
    utilization:
      call: 1                                    interactions at once
      chat: {capacity: 3, interruptible: [call]} and which media may interrupt them
    division:  Seasonal
    roles:     [employee, {name: Supervisor, divisions: [Seasonal, Home]}]
    groups:    [Retail Floor]
    queues:    [Retail Calls, Overflow]
    phone:     true, false, or {site: Lyon, base: WebRTC Phone}; what is left out is the organization's own

A role without divisions is granted in the division that the agent is given, else in the organization's home division.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator

from jitprov.domain.agent import MediaShare, RoleGrant

PROFICIENCY_MIN, PROFICIENCY_MAX = 0.0, 5.0
CAPACITY_MIN, CAPACITY_MAX = 0, 100
# Tags appear in pydantic's error paths; the loader takes them out again.
ONE, LIST, MAPPING = "(one)", "(list)", "(mapping)"
TAGS = frozenset({ONE, LIST, MAPPING})

Name = Annotated[str, Field(min_length=1, max_length=200)]
Proficiency = Annotated[float, Field(ge=PROFICIENCY_MIN, le=PROFICIENCY_MAX, allow_inf_nan=False)]
Capacity = Annotated[int, Field(ge=CAPACITY_MIN, le=CAPACITY_MAX)]
Media = Literal["call", "callback", "chat", "email", "message"]

Kind = Literal["skills", "languages", "divisions", "roles", "groups", "queues", "sites", "phone_bases"]
KINDS: tuple[Kind, ...] = (
    "skills", "languages", "divisions", "roles", "groups", "queues", "sites", "phone_bases",
)  # fmt: skip


class Part(BaseModel):
    """Part of a rules file: strict, closed, frozen."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def _mapping_or_list(value: Any) -> str:
    return LIST if isinstance(value, (list, tuple)) else MAPPING


def _one_or_mapping(value: Any) -> str:
    return MAPPING if isinstance(value, (dict, BaseModel)) else ONE


class SkillEntry(Part):
    """A skill or language in the list form."""

    name: Name
    proficiency: Proficiency


Rated = Annotated[
    Annotated[dict[Name, Proficiency], Tag(MAPPING)] | Annotated[list[SkillEntry], Tag(LIST)],
    Discriminator(_mapping_or_list),
]


class MediaEntry(Part):
    """Utilization of one kind of media, said in full."""

    capacity: Capacity = Field(description="Interactions at once.")
    interruptible: list[Media] | None = Field(
        default=None, description="Media that may interrupt it; the organization's when left out."
    )


Utilization = dict[
    Media,
    Annotated[
        Annotated[Capacity, Tag(ONE)] | Annotated[MediaEntry, Tag(MAPPING)],
        Discriminator(_one_or_mapping),
    ],
]


class RoleEntry(Part):
    """A role with the divisions that it is granted in."""

    name: Name
    divisions: list[Name] = Field(min_length=1)


Roles = list[
    Annotated[
        Annotated[Name, Tag(ONE)] | Annotated[RoleEntry, Tag(MAPPING)],
        Discriminator(_one_or_mapping),
    ]
]


class PhoneEntry(Part):
    """A WebRTC phone, said in full."""

    site: Name | None = Field(default=None, description="Name of its site; the organization's default when left out.")
    base: Name | None = Field(
        default=None, description="Name of its WebRTC phone base settings; the first there are when left out."
    )


PhoneWish = Annotated[
    Annotated[bool, Tag(ONE)] | Annotated[PhoneEntry, Tag(MAPPING)],
    Discriminator(_one_or_mapping),
]


def rated(entries: Mapping[str, float] | Iterable[SkillEntry]) -> dict[str, float]:
    """Return names with their proficiency, in the order of the file."""
    if isinstance(entries, Mapping):
        return dict(entries)
    return {entry.name: entry.proficiency for entry in entries}


def share_of(media: str, entry: int | MediaEntry) -> MediaShare:
    """Return what an entry of `utilization` says."""
    if isinstance(entry, int):
        return MediaShare(media, entry)
    interruptible = None if entry.interruptible is None else tuple(sorted(set(entry.interruptible)))
    return MediaShare(media, entry.capacity, interruptible)


def grants_of(role: str | RoleEntry, own_division: str) -> list[RoleGrant]:
    """Return what an entry of `roles` says; one without divisions holds in the division that the agent is given."""
    if isinstance(role, str):
        return [RoleGrant(role, own_division)]
    return [RoleGrant(role.name, division) for division in dict.fromkeys(role.divisions)]


class Given(Part):
    """Everything that a rule can give."""

    skills: Rated = Field(default_factory=dict, description="Skill name → proficiency, 0.0 to 5.0; or a list.")
    languages: Rated = Field(default_factory=dict, description="Language name → proficiency, 0.0 to 5.0; or a list.")
    utilization: Utilization = Field(
        default_factory=dict, description="Media → interactions at once, or {capacity, interruptible}."
    )
    division: Name | None = Field(default=None, description="Name of the division that the agent is moved to.")
    roles: Roles = Field(default_factory=list, description="Role names, or {name, divisions}.")
    groups: list[Name] = Field(default_factory=list, description="Names of groups to be a member of.")
    queues: list[Name] = Field(default_factory=list, description="Names of queues to be a member of.")

    @field_validator("skills", "languages", "roles", "groups", "queues")
    @classmethod
    def _named_once(cls, entries: Any) -> Any:
        names = [entry if isinstance(entry, str) else entry.name for entry in entries]
        for name, times in Counter(names).items():
            if times > 1:
                msg = f"{name} is named {times} times; name it once"
                raise ValueError(msg)
        return entries

    def names(self) -> Iterator[tuple[Kind, str, tuple[str, ...]]]:
        """Yield each name of something in the organization: kind, name, and the path at which it stands."""
        kind: Kind
        for kind in ("skills", "languages"):
            entries = getattr(self, kind)
            for index, name in enumerate(rated(entries)):
                yield kind, name, (kind, *((str(index), "name") if isinstance(entries, list) else (name,)))
        if self.division is not None:
            yield "divisions", self.division, ("division",)
        for index, role in enumerate(self.roles):
            here = ("roles", str(index))
            if isinstance(role, str):
                yield "roles", role, here
                continue
            yield "roles", role.name, (*here, "name")
            for place, division in enumerate(role.divisions):
                yield "divisions", division, (*here, "divisions", str(place))
        for kind in ("groups", "queues"):
            for index, name in enumerate(getattr(self, kind)):
                yield kind, name, (kind, str(index))
        yield from _named_by_phone(getattr(self, "phone", None))

    def says_something(self) -> bool:
        """Tell whether it gives anything at all."""
        return any(bool(getattr(self, name)) for name in Given.model_fields)


def _named_by_phone(phone: object) -> Iterator[tuple[Kind, str, tuple[str, ...]]]:
    if isinstance(phone, PhoneEntry):
        if phone.site is not None:
            yield "sites", phone.site, ("phone", "site")
        if phone.base is not None:
            yield "phone_bases", phone.base, ("phone", "base")
