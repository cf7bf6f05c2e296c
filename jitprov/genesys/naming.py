"""The rules' names in the organization: their ids, and whether everything exists that the rules name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from jitprov.domain.agent import WantedState
from jitprov.errors import NameUnknown, SkillUnknown
from jitprov.genesys.belongings import Belongings
from jitprov.genesys.catalogue import Catalogue
from jitprov.rules.engine import RuleBook
from jitprov.rules.given import KINDS, Kind


@dataclass(frozen=True, slots=True)
class UnknownName:
    """A name that the rules use and the organization does not have.

    Attributes:
        kind: Of what.
        name: As it stands in the rules.
        line: Where it first stands.
        message: Says so, with the nearest names.
    """

    kind: Kind
    name: str
    line: int
    message: str


def unknown_names(book: RuleBook, catalogue: Catalogue, belongings: Belongings) -> Iterator[UnknownName]:
    """Yield every name of the rules that the organization does not have now, by kind and line.

    Cost: 1 for each kind that the rules use, per page.
    """
    catalogue.forget_skills()  # what is there now counts, not what was an hour ago
    belongings.forget()
    for kind in KINDS:
        for name, line in sorted(book.named(kind).items(), key=lambda each: each[1]):
            try:
                if kind == "skills":
                    catalogue.skill_ids([name])
                else:
                    belongings.ids(kind, [name])
            except (SkillUnknown, NameUnknown) as error:
                yield UnknownName(kind, name, line, error.message)


def with_ids(wanted: WantedState, catalogue: Catalogue, belongings: Belongings) -> WantedState:
    """Return a wanted state with the ids of all that it names.

    Raises:
        SkillUnknown: As `Catalogue.skill_ids`.
        NameUnknown: As `Belongings.ids`.
    """
    ids = catalogue.skill_ids([skill.name for skill in wanted.skills])
    if wanted.languages or wanted.asks_access:
        wanted = belongings.resolved(wanted)
    return replace(wanted, skills=tuple(replace(skill, skill_id=ids[skill.name]) for skill in wanted.skills))
