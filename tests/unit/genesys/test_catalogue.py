"""What is the same for all agents is read once, kept as long as it is good, and read again for whoever needs it."""

from __future__ import annotations

from typing import Any

import pytest

from fixed_clock import FixedClock
from jitprov.cache.memory import MemoryCache
from jitprov.errors import SetupMissing, SkillUnknown, Unavailable
from jitprov.genesys.catalogue import Catalogue
from jitprov.genesys.payloads import PhoneBase, PhoneSetup
from jitprov.settings import read_settings


class Organization:
    """Stands where the client stands; notes each read."""

    def __init__(self) -> None:
        self.skills = {"Billing": "1", "Order_Tracking": "2"}
        self.site: str | None = "site"
        self.reads: list[str] = []
        self.away = False

    def list_routing_skills(self) -> dict[str, str]:
        self.reads.append("skills")
        if self.away:
            raise Unavailable("the API answered 503")
        return dict(self.skills)

    def list_webrtc_bases(self) -> dict[str, PhoneBase]:
        self.reads.append("base")
        return {"WebRTC": PhoneBase("base", "line-base"), "WebRTC Lyon": PhoneBase("base-lyon", "line-lyon")}

    def get_default_site_id(self) -> str:
        self.reads.append("site")
        if self.site is None:
            raise SetupMissing("the organization has no default site")
        return self.site


@pytest.fixture
def organization() -> Organization:
    return Organization()


@pytest.fixture
def cache(clock: FixedClock) -> MemoryCache:
    return MemoryCache(clock.monotonic_s)


def a_catalogue(organization: Any, cache: MemoryCache, clock: FixedClock, **changes: Any) -> Catalogue:
    return Catalogue(organization, cache, clock, read_settings(_env_file=None, **changes))


@pytest.fixture
def catalogue(organization: Organization, cache: MemoryCache, clock: FixedClock) -> Catalogue:
    return a_catalogue(organization, cache, clock)


def test_no_skills_need_no_read(catalogue: Catalogue, organization: Organization) -> None:
    """An agent whose rules give no skill costs nothing."""
    assert catalogue.skill_ids([]) == {}
    assert organization.reads == []


def test_skills_are_read_once_an_hour(catalogue: Catalogue, organization: Organization, clock: FixedClock) -> None:
    """Within the hour the shelf answers; after it, the API."""
    catalogue.skill_ids(["Billing"])
    clock.advance(3590)
    catalogue.skill_ids(["Order_Tracking"])
    assert organization.reads == ["skills"]
    clock.advance(20)

    assert catalogue.skill_ids(["Billing"]) == {"Billing": "1"}
    assert organization.reads == ["skills", "skills"]


def test_an_hour_is_the_apis_hour(organization: Organization, cache: MemoryCache, clock: FixedClock) -> None:
    """Against a sandbox sixty times as fast, a real minute is the hour."""
    catalogue = a_catalogue(organization, cache, clock, api_url="http://127.0.0.1:1", time_scale=60.0)
    catalogue.skill_ids(["Billing"])
    clock.advance(61)

    catalogue.skill_ids(["Billing"])

    assert organization.reads == ["skills", "skills"]


def test_a_new_skill_is_found(catalogue: Catalogue, organization: Organization, clock: FixedClock) -> None:
    """A name that was unknown when the catalogue was read is looked for once more before an agent fails."""
    catalogue.skill_ids(["Billing"])
    organization.skills["Returns"] = "3"
    clock.advance(61)

    assert catalogue.skill_ids(["Returns"]) == {"Returns": "3"}


def test_an_unknown_skill_does_not_drain_the_budget(
    catalogue: Catalogue, organization: Organization, clock: FixedClock
) -> None:
    """A thousand agents with a misspelt skill cost one read a minute, not a thousand."""
    for _ in range(20):
        with pytest.raises(SkillUnknown):
            catalogue.skill_ids(["Bilingual"])
    assert len(organization.reads) == 1
    clock.advance(61)
    with pytest.raises(SkillUnknown):
        catalogue.skill_ids(["Bilingual"])

    assert len(organization.reads) == 2


def test_an_unknown_skill_is_named_with_its_likes(catalogue: Catalogue) -> None:
    """The operator reads which name is wrong and which was probably meant; names are compared by case."""
    with pytest.raises(SkillUnknown) as caught:
        catalogue.skill_ids(["Order_Tracking", "billing"])

    assert "'billing'" in str(caught.value)
    assert "'Billing'" in str(caught.value)
    assert "Order_Tracking" not in str(caught.value)


def test_an_unknown_skill_fails_no_other_agent(catalogue: Catalogue) -> None:
    """The next agent's skills are found as ever."""
    with pytest.raises(SkillUnknown):
        catalogue.skill_ids(["Nonsense"])

    assert catalogue.skill_ids(["Billing"]) == {"Billing": "1"}


def test_a_failed_read_is_not_kept(catalogue: Catalogue, organization: Organization) -> None:
    """The error goes to who asked, and the next one reads again."""
    organization.away = True
    with pytest.raises(Unavailable):
        catalogue.skill_ids(["Billing"])
    organization.away = False

    assert catalogue.skill_ids(["Billing"]) == {"Billing": "1"}


def test_the_phone_setup_is_read_once(catalogue: Catalogue, organization: Organization) -> None:
    """Site, phone base and line base are the same for every phone."""
    assert catalogue.phone_setup() == catalogue.phone_setup() == PhoneSetup("site", "base", "line-base")
    assert sorted(organization.reads) == ["base", "site"]


def test_a_missing_site_is_said(catalogue: Catalogue, organization: Organization, clock: FixedClock) -> None:
    """An organization without a default site fails agents with that reason, until it has one."""
    organization.site = None
    with pytest.raises(SetupMissing, match="site"):
        catalogue.phone_setup()
    organization.site = "site"
    clock.advance(61)

    assert catalogue.phone_setup().site_id == "site"


def test_a_missing_site_does_not_drain_the_budget(catalogue: Catalogue, organization: Organization) -> None:
    """A thousand agents cost one look a minute between them."""
    organization.site = None
    for _ in range(20):
        with pytest.raises(SetupMissing, match="site"):
            catalogue.phone_setup()

    assert sorted(organization.reads) == ["base", "site"]


def test_what_cannot_be_read_from_the_shelf_is_read_anew(
    catalogue: Catalogue, organization: Organization, cache: MemoryCache
) -> None:
    """A spoilt entry fails nobody."""
    catalogue.skill_ids(["Billing"])
    for key in list(cache._kept):
        cache.put(key, b"{", ttl_s=60)

    assert catalogue.skill_ids(["Billing"]) == {"Billing": "1"}
    assert organization.reads == ["skills", "skills"]


@pytest.mark.parametrize("changes", [{"region": "mypurecloud.de"}, {"client_id": "another"}])
def test_organizations_do_not_share(
    organization: Organization, cache: MemoryCache, clock: FixedClock, changes: dict[str, str]
) -> None:
    """Another region or client on the same Redis reads its own skills."""
    first, other = a_catalogue(organization, cache, clock), Organization()
    second = a_catalogue(other, cache, clock, **changes)
    other.skills = {"Billing": "9"}

    assert first.skill_ids(["Billing"]) == {"Billing": "1"}
    assert second.skill_ids(["Billing"]) == {"Billing": "9"}
