"""Whom `plan` and `drift` look at: agents by any id or address, a department, or everybody active."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.markup import escape

from jitprov.cli.output import Exit, end_with_error
from jitprov.domain.ids import is_uuid
from jitprov.domain.skills import nearest_names
from jitprov.genesys.holdings import HoldingsClient, Listed
from jitprov.ledger.overview import Overview
from jitprov.rules.engine import RuleBook


def named(holdings: HoldingsClient, ledger: Overview, any_ids: Sequence[str]) -> list[Listed]:
    """Return agents by user id, by any id that jitprov knows, or by address; who is not found ends the command."""
    user_ids, found = [], []
    for any_id in dict.fromkeys(each.strip() for each in any_ids):
        record = ledger.find(any_id)
        if record is not None:
            user_ids.append(record.user_id)
        elif is_uuid(any_id.lower()):
            user_ids.append(any_id.lower())
        else:
            at = list(holdings.active_users_where("email", any_id)) if "@" in any_id else []
            if not at:
                end_with_error(
                    f"nobody is known by {escape(any_id)}; give a Genesys user id, any id that `jitprov list` shows, "
                    "or the address of an active user",
                    Exit.ERROR,
                )
            found += at
    found += holdings.users(list(dict.fromkeys(user_ids)))
    missing = set(user_ids) - {each.profile.user_id for each in found}
    if missing:
        end_with_error(
            f"the organization has no user {', '.join(sorted(missing))}, or they are deleted. Is JITPROV_REGION right?",
            Exit.ERROR,
        )
    return list({each.profile.user_id: each for each in found}.values())


def of_department(holdings: HoldingsClient, ledger: Overview, book: RuleBook, department: str) -> list[Listed]:
    """Return the active agents of a department, case aside; an empty one ends the command with the nearest names."""
    found = list(holdings.active_users_where("department", department))
    if not found:
        known = [each for each in (*book.departments(), *ledger.departments()) if each and "*" not in each]
        near = ", ".join(nearest_names(department, known))
        hint = f"; nearest: {escape(near)}" if near else ""
        end_with_error(f"no active user is of department {escape(department)}{hint}", Exit.ERROR)
    return found


def names_of(listed: Iterable[Listed]) -> dict[str, str]:
    """Return what agents are called, by user id; their id where the name is empty."""
    return {each.profile.user_id: each.profile.name or each.profile.user_id for each in listed}
