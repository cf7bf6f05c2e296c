"""Valid things by default; one keyword changes one thing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from jitprov.domain.agent import Phone, Profile, RatedSkill, WantedState
from jitprov.domain.events import Opening
from jitprov.domain.ids import provisioning_id_from
from jitprov.domain.outcomes import Failure
from jitprov.domain.provisioning import Provisioning

NINE_AM = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def an_opening(**changes: Any) -> Opening:
    values: dict[str, Any] = {
        "provisioning_id": provisioning_id_from(uuid4()),
        "event_id": str(uuid4()),
        "user_id": str(uuid4()),
    } | changes
    return Opening(**values)


def a_profile(**changes: Any) -> Profile:
    values: dict[str, Any] = {
        "user_id": str(uuid4()),
        "name": "Robin Example",
        "email": "robin@example.test",
        "department": "Seasonal_Retail",
        "title": "Agent",
        "division": "Home",
    } | changes
    return Profile(**values)


def a_skill(name: str = "Customer_Service", proficiency: float = 1.0, skill_id: str = "") -> RatedSkill:
    return RatedSkill(name, proficiency, skill_id or f"id-of-{name}")


def a_wanted_state(**changes: Any) -> WantedState:
    values: dict[str, Any] = {"rules": ("Seasonal retail",), "skills": (a_skill(), a_skill("Order_Tracking"))} | changes
    return WantedState(**values)


def a_phone(**changes: Any) -> Phone:
    values: dict[str, Any] = {"phone_id": str(uuid4()), "line_id": str(uuid4()), "name": "Robin Example"} | changes
    return Phone(**values)


def a_failure(**changes: Any) -> Failure:
    values: dict[str, Any] = {
        "code": "unavailable",
        "message": "The API answered 503.",
        "remedy": "Retry it.",
        "retry_helps": True,
        "http_status": 503,
        "correlation_id": "c0ffee",
    } | changes
    return Failure(**values)


def a_provisioning(**changes: Any) -> Provisioning:
    values: dict[str, Any] = {
        "provisioning_id": provisioning_id_from(uuid4()),
        "event_id": str(uuid4()),
        "user_id": str(uuid4()),
        "accepted_at": NINE_AM,
        "updated_at": NINE_AM,
    } | changes
    return Provisioning(**values)
