"""A second phone of one agent: which one goes, and when none does."""

from __future__ import annotations

from typing import Any

import pytest

from builders import a_profile, a_provisioning
from fake_organization import FakeOrganization
from jitprov.domain.agent import Phone
from jitprov.domain.provisioning import Findings, Provisioning
from jitprov.genesys.payloads import phone_name
from jitprov.pipeline.surplus import take_back

PROFILE = a_profile()
OURS = phone_name(PROFILE)
KEPT, SECOND, ANOTHERS = Phone("kept", "line", OURS), Phone("second", "line", OURS), Phone("desk", "line", "Front desk")


def _record(kept: Phone | None = KEPT) -> Provisioning:
    return a_provisioning(user_id=PROFILE.user_id, findings=Findings(profile=PROFILE, phone=kept))


@pytest.mark.parametrize(
    ("there", "record", "made", "left"),
    [
        ([KEPT], _record(), None, [KEPT]),
        ([KEPT, SECOND], _record(), None, [KEPT]),
        ([KEPT, ANOTHERS], _record(), None, [KEPT, ANOTHERS]),
        ([SECOND], _record(), None, [SECOND]),  # the list is late, or the phone is gone
        ([SECOND], _record(None), None, [SECOND]),
        ([KEPT, SECOND], _record(), SECOND, [KEPT]),
        ([KEPT], _record(), KEPT, [KEPT]),
        ([SECOND], _record(None), SECOND, [SECOND]),
    ],
)
def test_only_what_nobody_names_goes(
    there: list[Phone], record: Provisioning, made: Phone | None, left: list[Phone]
) -> None:
    """What the ledger names stays, what others made stays, and while nothing is named everything does."""
    organization: Any = FakeOrganization()
    organization.add(PROFILE).phones.extend(there)

    gone = take_back(record, organization, made)

    assert organization.agents[PROFILE.user_id].phones == left
    assert gone == len(there) - len(left)
