"""What may stand in rules.yaml: strict, every unknown key refused. Reads no file and decides nothing.

    version: 1              of this format
    match: first            the first rule that covers an agent decides alone
    unmatched: fail         or `defaults`: what an agent gets whom no rule covers
    defaults:               mode and phone for rules that leave them out; skills only for `unmatched: defaults`
      mode: merge
      phone: true
    rules:
      - name: Seasonal retail
        when:               all of these must hold; a list holds when one of its entries does
          department: [Seasonal_Retail, "Retail *"]
        skills:
          Customer_Service: 1.0

Texts of `when` are compared whole, without regard to case or outer spaces. `*` stands for any characters, `?` for one;
nothing else is special. An empty text means that the agent has none. Skill names are the API's: case counts.
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

PROFICIENCY_MIN, PROFICIENCY_MAX = 0.0, 5.0
# Tags appear in pydantic's error paths; the loader takes them out again.
ONE, LIST, MAPPING = "(one)", "(list)", "(mapping)"
TAGS = frozenset({ONE, LIST, MAPPING})

Text = Annotated[str, Field(max_length=200)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Proficiency = Annotated[float, Field(ge=PROFICIENCY_MIN, le=PROFICIENCY_MAX, allow_inf_nan=False)]
Mode = Literal["merge", "replace"]


def _one_or_list(value: Any) -> str:
    return LIST if isinstance(value, (list, tuple)) else ONE


def _mapping_or_list(value: Any) -> str:
    return LIST if isinstance(value, (list, tuple)) else MAPPING


Texts = Annotated[
    Annotated[Text, Tag(ONE)] | Annotated[list[Text], Field(min_length=1), Tag(LIST)], Discriminator(_one_or_list)
]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class SkillEntry(_Part):
    """A skill in the list form."""

    name: Name
    proficiency: Proficiency


Skills = Annotated[
    Annotated[dict[Name, Proficiency], Tag(MAPPING)] | Annotated[list[SkillEntry], Tag(LIST)],
    Discriminator(_mapping_or_list),
]


class _HasSkills(_Part):
    skills: Skills = Field(default_factory=dict, description="Skill name → proficiency, 0.0 to 5.0; or a list.")

    @field_validator("skills")
    @classmethod
    def _named_once(cls, skills: Skills) -> Skills:
        if isinstance(skills, list):
            for name, times in Counter(entry.name for entry in skills).items():
                if times > 1:
                    msg = f"{name} is named {times} times; name it once"
                    raise ValueError(msg)
        return skills

    def rated(self) -> dict[str, float]:
        """Return skill names with their proficiency, in the order of the file."""
        if isinstance(self.skills, list):
            return {entry.name: entry.proficiency for entry in self.skills}
        return self.skills


class When(_Part):
    """Whom a rule covers: all that is given must hold. Empty covers everyone."""

    department: Texts | None = Field(default=None, description="Department of the user.")
    title: Texts | None = Field(default=None, description="Title of the user.")
    division: Texts | None = Field(default=None, description="Name of the user's division.")
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


class Defaults(_HasSkills):
    """Mode and phone for rules that leave them out; with its skills, what `unmatched: defaults` gives."""

    mode: Mode = Field(default="merge", description="merge adds and re-rates; replace leaves exactly these skills.")
    phone: bool = Field(default=True, description="Whether agents get a WebRTC phone.")


class Rule(_HasSkills):
    """Whom it covers and what they shall have."""

    name: Name = Field(description="Shown with every agent it covered.")
    when: When = Field(default_factory=When, description="Whom it covers; everyone when left out.")
    mode: Mode | None = Field(default=None, description="As in `defaults` when left out.")
    phone: bool | None = Field(default=None, description="As in `defaults` when left out.")


class Rules(_Part):
    """The whole file."""

    version: Literal[1] = Field(description="Of this format.")
    match: Literal["first"] = Field(default="first", description="The first rule that covers an agent decides alone.")
    unmatched: Literal["fail", "defaults"] = Field(
        default="fail", description="fail: the agent waits for a rule; defaults: the agent gets `defaults`."
    )
    defaults: Defaults = Field(default_factory=Defaults)
    rules: list[Rule] = Field(min_length=1)

    @field_validator("rules")
    @classmethod
    def _each_can_be_told_and_reached(cls, rules: list[Rule]) -> list[Rule]:
        for name, times in Counter(rule.name for rule in rules).items():
            if times > 1:
                msg = f"{times} rules are named {name}; give each its own name"
                raise ValueError(msg)
        for rule in rules[:-1]:
            if not rule.when.conditions():
                msg = f"rules after {rule.name} are never reached, since it covers everyone; move it to the end"
                raise ValueError(msg)
        return rules

    @model_validator(mode="after")
    def _nothing_is_lost(self) -> Self:
        if self.defaults.rated() and self.unmatched == "fail":
            msg = "defaults.skills are never given while unmatched is fail; set unmatched: defaults, or remove them"
            raise ValueError(msg)
        for rule in self.rules:
            if (rule.mode or self.defaults.mode) == "replace" and not rule.rated():
                msg = f"rule {rule.name} would strip agents of all skills (mode replace, no skills); name at least one"
                raise ValueError(msg)
        if self.unmatched == "defaults" and self.defaults.mode == "replace" and not self.defaults.rated():
            msg = "defaults would strip unmatched agents of all skills (mode replace, no skills); name at least one"
            raise ValueError(msg)
        return self


def as_list(texts: str | list[str]) -> list[str]:
    """Return one text or several as a list."""
    return [texts] if isinstance(texts, str) else texts
