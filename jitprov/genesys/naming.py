"""The rules' names in the organization: their ids, and whether everything exists that the rules name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from jitprov.domain.agent import WantedState
from jitprov.errors import NameUnknown, SkillUnknown, StepError
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
    catalogue.forget()  # what is there now counts, not what was an hour ago
    belongings.forget()
    for kind in KINDS:
        for name, line in sorted(book.named(kind).items(), key=lambda each: each[1]):
            try:
                _look_up(kind, name, catalogue, belongings)
            except (SkillUnknown, NameUnknown) as error:
                yield UnknownName(kind, name, line, error.message)


def _look_up(kind: Kind, name: str, catalogue: Catalogue, belongings: Belongings) -> None:
    match kind:
        case "skills":
            catalogue.skill_ids([name])
        case "sites":
            catalogue.site_id(name)
        case "phone_bases":
            catalogue.phone_base(name)
        case _:
            belongings.ids(kind, [name])


def with_ids(wanted: WantedState, catalogue: Catalogue, belongings: Belongings) -> WantedState:
    """Return a wanted state with the ids of all that it names.

    Where the rules say so (`unknown: skip`) what the organization does not have is left out, and told in `left_out`.

    Raises:
        SkillUnknown: As `Catalogue.skill_ids`; also when what is left of an exact list would be nothing.
        NameUnknown: As `Belongings.ids`, and of site and phone base.
    """
    if wanted.skips_unknown:
        wanted = _without_unknown(wanted, catalogue, belongings)
    ids = catalogue.skill_ids([skill.name for skill in wanted.skills])
    if wanted.phone and (wanted.site or wanted.phone_base):
        catalogue.phone_setup(wanted.site, wanted.phone_base)
    if wanted.languages or wanted.asks_access:
        wanted = belongings.resolved(wanted)
    return replace(wanted, skills=tuple(replace(skill, skill_id=ids[skill.name]) for skill in wanted.skills))


def with_lines(error: StepError, lines: Mapping[str, int]) -> StepError:
    """Return an error about unknown names with the lines of rules.yaml to mend, where the rules come from a file.

    Args:
        error: Of `with_ids`.
        lines: Line at which each name of the rules first stands.
    """
    named = sorted({line for name, line in lines.items() if line and f" {name!r}" in error.message})
    if not named:
        return error
    shown = f"line{'s' if len(named) > 1 else ''} {', '.join(map(str, named))}"
    return type(error)(error.message, remedy=error.remedy.replace("mend rules.yaml", f"mend rules.yaml {shown}"))


def _without_unknown(wanted: WantedState, catalogue: Catalogue, belongings: Belongings) -> WantedState:
    skills, no_skills = catalogue.known_skill_ids([skill.name for skill in wanted.skills])
    languages, no_languages = belongings.known_ids("languages", [each.name for each in wanted.languages])
    if wanted.mode == "replace" and wanted.skills and not skills:
        # Leaving all of an exact list out would take away all that the agent has.
        raise SkillUnknown("; ".join(no_skills))
    own = [wanted.division.name] if wanted.division else []
    named = [grant.division for grant in wanted.roles if grant.division]
    divisions, no_divisions = belongings.known_ids("divisions", [*own, *named])
    roles, no_roles = belongings.known_ids("roles", [grant.role for grant in wanted.roles])
    groups, no_groups = belongings.known_ids("groups", [group.name for group in wanted.groups])
    queues, no_queues = belongings.known_ids("queues", [queue.name for queue in wanted.queues])
    site, no_site = wanted.site, []
    phone_base, no_base = wanted.phone_base, []
    if wanted.phone and site:
        try:
            catalogue.site_id(site)
        except NameUnknown as error:
            site, no_site = "", [error.message]
    if wanted.phone and phone_base:
        try:
            catalogue.phone_base(phone_base)
        except NameUnknown as error:
            phone_base, no_base = "", [error.message]
    # Never in another division instead: a role may do more there than was meant.
    elsewhere = [
        f"role {grant.role!r}, since there is no division {grant.division!r}"
        for grant in wanted.roles
        if grant.role in roles and grant.division and grant.division not in divisions
    ]
    return replace(
        wanted,
        skills=tuple(each for each in wanted.skills if each.name in skills),
        languages=tuple(each for each in wanted.languages if each.name in languages),
        division=wanted.division if wanted.division and wanted.division.name in divisions else None,
        roles=tuple(
            each for each in wanted.roles if each.role in roles and (not each.division or each.division in divisions)
        ),
        groups=tuple(each for each in wanted.groups if each.name in groups),
        queues=tuple(each for each in wanted.queues if each.name in queues),
        site=site,
        phone_base=phone_base,
        left_out=(
            *wanted.left_out,
            *(*no_skills, *no_languages, *no_divisions, *no_roles, *no_groups, *no_queues, *elsewhere),
            *(f"{each}: the organization's default instead" for each in (*no_site, *no_base)),
        ),
    )
