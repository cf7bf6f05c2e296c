"""Arithmetic of skills, languages and utilization: what must change, and which name was probably meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from difflib import get_close_matches

from jitprov.domain.agent import MediaShare, RatedLanguage, RatedSkill, WantedState


def diff_skills(wanted: WantedState, held: Iterable[RatedSkill]) -> tuple[RatedSkill, ...] | None:
    """Return what must be sent so that the agent has the wanted skills; None when nothing would change.

    In `merge` mode only what is missing or rated otherwise; in `replace` mode all wanted skills as soon as
    anything differs, since the API's replace takes the whole list: an empty list takes all skills away.
    """
    rated = {skill.skill_id: skill.proficiency for skill in held}
    if wanted.mode == "replace":
        target = {skill.skill_id: skill.proficiency for skill in wanted.skills}
        return None if target == rated else wanted.skills
    return tuple(skill for skill in wanted.skills if rated.get(skill.skill_id) != skill.proficiency) or None


def diff_languages(wanted: Iterable[RatedLanguage], held: Iterable[RatedLanguage]) -> tuple[RatedLanguage, ...]:
    """Return the languages that are missing or rated otherwise; the API adds and re-rates, and replaces none."""
    rated = {language.language_id: language.proficiency for language in held}
    return tuple(language for language in wanted if rated.get(language.language_id) != language.proficiency)


def extra_languages(wanted: WantedState, held: Iterable[RatedLanguage]) -> tuple[RatedLanguage, ...]:
    """Return the languages that replacing takes away: none in `merge` mode, nor where the rules name no language."""
    if wanted.mode != "replace" or not wanted.languages:
        return ()
    kept = {language.language_id for language in wanted.languages}
    return tuple(language for language in held if language.language_id not in kept)


def complete_shares(wanted: Iterable[MediaShare], usual: Mapping[str, MediaShare]) -> tuple[MediaShare, ...]:
    """Return wanted utilization with what the rules leave open filled in from the organization's.

    Args:
        wanted: Of the media that the rules name.
        usual: The organization's, by media.
    """

    def complete(share: MediaShare) -> MediaShare:
        if share.interruptible is not None:
            return share
        known = usual.get(share.media)
        return replace(share, interruptible=(known.interruptible if known else None) or ())

    return tuple(complete(share) for share in wanted)


def nearest_names(name: str, known: Iterable[str], *, limit: int = 3) -> tuple[str, ...]:
    """Return up to `limit` known names that look like `name`, best first, case aside."""
    by_folded: dict[str, str] = {}
    for known_name in known:
        by_folded.setdefault(known_name.casefold(), known_name)
    close = get_close_matches(name.casefold(), by_folded, n=limit, cutoff=0.6)
    return tuple(by_folded[folded] for folded in close)
