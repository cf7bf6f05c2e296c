"""What rules give, told a second time: from the YAML's plain values, without a line of the engine's.

Written from the description of the format, to be compared with the engine and with what agents have in the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LOOKED_AT = ("department", "title", "division", "email_domain", "location")


def fits(pattern: str, text: str) -> bool:
    """Tell whether a text is what a pattern describes: `*` any characters, `?` one, case and outer spaces aside."""
    pattern, text = pattern.strip().casefold(), text.strip().casefold()
    reached = {0}
    for char in pattern:
        if char == "*":
            reached = set(range(min(reached), len(text) + 1)) if reached else set()
        else:
            reached = {at + 1 for at in reached if at < len(text) and char in ("?", text[at])}
    return len(text) in reached


def covers(rule: Mapping[str, Any], person: Mapping[str, Any]) -> bool:
    seen = {**person, "email_domain": person.get("email", "").rpartition("@")[2]}
    for part in LOOKED_AT:
        wanted = rule.get("when", {}).get(part)
        if wanted is None:
            continue
        options = wanted if isinstance(wanted, list) else [wanted]
        held = seen.get(part) or ""
        texts = [held] if isinstance(held, str) else held
        if not any(fits(option, text) for option in options for text in texts):
            return False
    return True


def _pairs(listed: Any) -> dict[str, float]:
    return {each["name"]: each["proficiency"] for each in listed} if isinstance(listed, list) else dict(listed)


def _shares(listed: Mapping[str, Any]) -> dict[str, tuple[int, tuple[str, ...] | None]]:
    shares: dict[str, tuple[int, tuple[str, ...] | None]] = {}
    for name, entry in listed.items():
        interrupted = entry.get("interruptible") if isinstance(entry, dict) else None
        capacity = entry["capacity"] if isinstance(entry, dict) else entry
        shares[name] = (capacity, None if interrupted is None else tuple(sorted(set(interrupted))))
    return shares


def should_have(rules: Mapping[str, Any], person: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what somebody shall have; None when nothing covers them.

    Roles are pairs of role and division, "" standing for the home division; utilization is (capacity, interruptible),
    None for what is left open.
    """
    found = [rule for rule in rules["rules"] if covers(rule, person)]
    defaults = rules.get("defaults", {})
    names = [rule["name"] for rule in found]
    if rules.get("match", "first") == "first":
        found, names = found[:1], names[:1]
    if not found:
        if rules.get("unmatched", "fail") == "fail":
            return None
        found = [defaults]

    skills: dict[str, float] = {}
    languages: dict[str, float] = {}
    media: dict[str, tuple[int, tuple[str, ...] | None]] = {}
    for rule in reversed(found):  # from the last to the first, so that the first has the last word
        skills |= _pairs(rule.get("skills", {}))
        languages |= _pairs(rule.get("languages", {}))
        media |= _shares(rule.get("utilization", {}))
    division = next((rule["division"] for rule in found if "division" in rule), "")
    roles = set()
    for rule in found:
        for role in rule.get("roles", []):
            if isinstance(role, dict):
                roles |= {(role["name"], place) for place in role["divisions"]}
            else:
                roles.add((role, division))
    phone = next((rule["phone"] for rule in [*found, defaults] if "phone" in rule), True)
    chosen = phone if isinstance(phone, dict) else {}
    return {
        "rules": names,
        "mode": next((rule["mode"] for rule in [*found, defaults] if "mode" in rule), "merge"),
        "phone": phone is not False,
        "site": chosen.get("site", ""),
        "phone_base": chosen.get("base", ""),
        "skips": rules.get("unknown") == "skip",
        "skills": skills,
        "languages": languages,
        "utilization": media,
        "division": division,
        "roles": roles,
        "groups": {group for rule in found for group in rule.get("groups", [])},
        "queues": {queue for rule in found for queue in rule.get("queues", [])},
    }
