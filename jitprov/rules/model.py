"""What may stand in rules.yaml: strict, every unknown key refused. Reads no file and decides nothing.

    version: 1              of this format
    match: first            the first rule that covers an agent decides alone; `merge`: all that cover add up
    unmatched: fail         or `defaults`: what an agent gets whom no rule covers
    release_phone: false    whether the phone that jitprov made goes when its user is deleted or deactivated
    defaults:               mode and phone for rules that leave them out; the rest only for `unmatched: defaults`
      mode: merge
      phone: true             or false, or {site, base}
    unknown: fail           or `skip`: leave out names that the organization does not have, and say so
    rules:
      - name: Seasonal retail
        when:               all of these must hold; a list holds when one of its entries does
          department: [Seasonal_Retail, "Retail *"]
        skills:             and whatever else `jitprov.rules.given` names
          Customer_Service: 1.0
    expected_roles:         what the identity provider asserts, for `jitprov drift`; gives nothing
      - when: {department: Seasonal_Retail}
        roles: [employee, Agent]
    roles_written: sync     when they overwrite what agents hold: sign_in or sync
    tests:                  profiles with what they must get, tried by `jitprov rules test`

`mode: merge` adds and re-rates, and leaves what an agent has beyond the rules; `mode: replace` lets agents have exactly
the skills that the rules give, and exactly the languages and the queues where they give any. It leaves all else: roles
and groups beyond the rules, since it cannot be told for sure what comes by a group or its rule, and queues by a group.

With `match: merge` lists add up; where two rules say different things about the same skill, language or media, about
division, mode, phone or priority, the one that stands first in the file counts.

Texts of `when` are compared whole, without regard to case or outer spaces. `*` stands for any characters, `?` for one;
nothing else is special. An empty text means that the agent has none. All names are the API's: case counts.
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from jitprov.domain.agent import Priority
from jitprov.rules.examples import Example
from jitprov.rules.given import LIST, ONE, Given, Name, Part, PhoneWish

Text = Annotated[str, Field(max_length=200)]
Mode = Literal["merge", "replace"]


def _one_or_list(value: Any) -> str:
    return LIST if isinstance(value, (list, tuple)) else ONE


Texts = Annotated[
    Annotated[Text, Tag(ONE)] | Annotated[list[Text], Field(min_length=1), Tag(LIST)], Discriminator(_one_or_list)
]


class When(Part):
    """Whom a rule covers: all that is given must hold. Empty covers everyone."""

    department: Texts | None = Field(default=None, description="Department of the user.")
    title: Texts | None = Field(default=None, description="Title of the user.")
    division: Texts | None = Field(default=None, description="Name of the user's division.")
    location: Texts | None = Field(
        default=None, description="Name of one of the user's locations; read only while some rule looks at it."
    )
    email_domain: Texts | None = Field(default=None, description="What follows the @ of the user's e-mail address.")

    @field_validator("*", mode="before")
    @classmethod
    def _nothing_left_empty(cls, value: Any) -> Any:
        # `department:` with nothing after it would else cover everyone.
        if value is None:
            msg = 'is empty; write "" for agents without one, or remove the line'
            raise ValueError(msg)
        return value

    @field_validator("email_domain")
    @classmethod
    def _only_the_domain(cls, texts: Texts) -> Texts:
        for text in as_list(texts):
            if "@" in text:
                msg = "give only what follows the @"
                raise ValueError(msg)
        return texts

    def conditions(self) -> dict[str, list[str]]:
        """Return what must hold: texts by the part of the profile."""
        return {name: as_list(value) for name in type(self).model_fields if (value := getattr(self, name)) is not None}


class Defaults(Given):
    """Mode and phone for rules that leave them out; with the rest, what `unmatched: defaults` gives."""

    mode: Mode = Field(
        default="merge",
        description="merge adds and re-rates; replace leaves exactly these skills, and "
        "languages and queues where any are named; roles and groups are only added.",
    )
    phone: PhoneWish = Field(default=True, description="Whether agents get a WebRTC phone, and which: {site, base}.")


class Rule(Given):
    """Whom it covers and what they shall have."""

    name: Name = Field(description="Shown with every agent it covered.")
    when: When = Field(default_factory=When, description="Whom it covers; everyone when left out.")
    mode: Mode | None = Field(default=None, description="As in `defaults` when left out.")
    phone: PhoneWish | None = Field(default=None, description="As in `defaults` when left out, as a whole.")
    priority: Priority | None = Field(
        default=None,
        description="Who is begun first of those who wait: high before normal before low. While some rule has one, "
        "agents of rules without are normal.",
    )


class ExpectedRoles(Part):
    """Which roles the identity provider asserts, and of whom; nothing is given by it."""

    when: When = Field(default_factory=When, description="Of whom; of everyone when left out.")
    roles: list[Name] = Field(description="Names of roles; empty where it asserts none.")


class Rules(Part):
    """The whole file."""

    version: Literal[1] = Field(description="Of this format.")
    match: Literal["first", "merge"] = Field(
        default="first",
        description="first: the first rule that covers an agent decides alone; merge: all that cover add up, the "
        "first counting where they differ.",
    )
    unmatched: Literal["fail", "defaults"] = Field(
        default="fail", description="fail: the agent waits for a rule; defaults: the agent gets `defaults`."
    )
    unknown: Literal["fail", "skip"] = Field(
        default="fail",
        description="fail: an agent whose rules name what the organization does not have waits for a human; skip: "
        "it is left out, and said with the agent.",
    )
    release_phone: bool = Field(
        default=False,
        description="Whether the phone that jitprov made is deleted once its user is deleted or deactivated.",
    )
    defaults: Defaults = Field(default_factory=Defaults)
    rules: list[Rule] = Field(min_length=1)
    expected_roles: list[ExpectedRoles] = Field(
        default_factory=list,
        description="Roles that the identity provider asserts, for `jitprov drift`; all entries that cover an agent "
        "add up, and agents that none covers are not compared.",
    )
    roles_written: Literal["sign_in", "sync"] | None = Field(
        default=None,
        description="When the identity provider's roles overwrite those of Genesys Cloud: at the sign-in (only where "
        "something of yours does it: Genesys' own SAML sign-on takes no roles), or at the next SCIM sync.",
    )
    tests: list[Example] = Field(default_factory=list, description="Tried by `jitprov rules test`.")

    @field_validator("rules", "tests")
    @classmethod
    def _each_can_be_told(cls, entries: list[Rule] | list[Example], info: Any) -> list[Rule] | list[Example]:
        for name, times in Counter(entry.name for entry in entries).items():
            if times > 1:
                msg = f"{times} {info.field_name} are named {name}; give each its own name"
                raise ValueError(msg)
        return entries

    @model_validator(mode="after")
    def _each_can_be_reached(self) -> Self:
        for rule in self.rules[:-1] if self.match == "first" else ():
            if not rule.when.conditions():
                msg = f"rules after {rule.name} are never reached, since it covers everyone; move it to the end"
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _nothing_is_lost(self) -> Self:
        if self.defaults.says_something() and self.unmatched == "fail":
            given = ", ".join(f"defaults.{name}" for name in Given.model_fields if getattr(self.defaults, name))
            msg = f"{given} are never given while unmatched is fail; set unmatched: defaults, or remove them"
            raise ValueError(msg)
        for rule in self.rules:
            if (rule.mode or self.defaults.mode) == "replace" and not rule.skills:
                msg = f"rule {rule.name} would strip agents of all skills (mode replace, no skills); name at least one"
                raise ValueError(msg)
        if self.unmatched == "defaults" and self.defaults.mode == "replace" and not self.defaults.skills:
            msg = "defaults would strip unmatched agents of all skills (mode replace, no skills); name at least one"
            raise ValueError(msg)
        return self


def as_list(texts: str | list[str]) -> list[str]:
    """Return one text or several as a list."""
    return [texts] if isinstance(texts, str) else texts
