"""What the organization holds before anyone signs in: divisions, skills, languages, sites, phone bases.

Everything is invented and follows from the seed. Makes no users and no phones.
"""

from __future__ import annotations

from itertools import product

from jitprov.sandbox.answers import Json
from jitprov.sandbox.competence import Catalogue, Competence
from jitprov.sandbox.identifiers import Identifiers
from jitprov.sandbox.telephony import EDGES, WEBRTC_META_BASE, PhoneBase, Telephony

DIVISIONS = ("Home", "Seasonal", "Headquarters")
LANGUAGES = ("English", "French", "German", "Spanish", "Italian", "Portuguese", "Dutch", "Polish")
SITES = ("Main Site", "Seasonal Site")
_SKILLS_PLAIN = (
    "Customer_Service",
    "customer_service",
    "Order_Tracking",
    "Basic_Troubleshooting",
    "Advanced_Troubleshooting",
    "Complaints",
    "Escalations",
    "Fraud_Review",
    "Gift_Cards",
    "Loyalty_Program",
    "Price_Match",
    "Product_Recall",
    "Store_Pickup",
    "Warranty",
)
_SKILL_STEMS = ("Billing", "Customer_Service", "Delivery", "Order_Tracking", "Returns", "Sales", "Technical_Support")
_SKILL_ENDINGS = ("French", "German", "Spanish", "Italian", "Level_2", "Priority", "Trainee")
# Name, meta base id, line base's meta base id.
_PHONE_BASES = (
    ("Acme Desk Phone", "acme_desk_phone.json", "inin_sip_line.json"),
    ("Generic SIP Phone", "generic_sip.json", "inin_sip_line.json"),
    ("Remote Phone", "inin_remote.json", "inin_remote_line.json"),
    ("WebRTC Phone", WEBRTC_META_BASE, "inin_webrtc_line.json"),
    ("WebRTC Phone Persistent", WEBRTC_META_BASE, "inin_webrtc_line.json"),
)
_WEBRTC_CAPABILITIES = {
    "provisions": False,
    "registers": False,
    "dualRegisters": False,
    "allowReboot": False,
    "noRebalance": False,
    "noCloudProvisioning": False,
    "mediaCodecs": ["audio/opus"],
    "cdm": True,
}


def seed_divisions(ids: Identifiers) -> dict[str, Json]:
    """Return the divisions by id; the first is the home division."""
    divisions: dict[str, Json] = {}
    for name in DIVISIONS:
        division_id = ids.new("division")
        divisions[division_id] = {
            "id": division_id,
            "name": name,
            "description": f"{name} division",
            "homeDivision": name == DIVISIONS[0],
            "selfUri": f"/api/v2/authorization/divisions/{division_id}",
        }
    return divisions


def seed_skills(ids: Identifiers, made_at: str) -> Catalogue:
    """Return the skills: the three that the shipped rules use, and others that are easily taken for them."""
    catalogue = Catalogue("skills")
    names = [*_SKILLS_PLAIN, *(f"{stem}_{ending}" for stem, ending in product(_SKILL_STEMS, _SKILL_ENDINGS))]
    for name in names:
        catalogue.add(Competence(ids.new("skill"), "skills", name, made_at))
    retired = Competence(ids.new("skill"), "skills", "Holiday_Hotline_2019", made_at, state="inactive")
    catalogue.add(retired)
    return catalogue


def seed_languages(ids: Identifiers, made_at: str) -> Catalogue:
    """Return the languages."""
    catalogue = Catalogue("languages")
    for name in LANGUAGES:
        catalogue.add(Competence(ids.new("language"), "languages", name, made_at))
    return catalogue


def seed_telephony(ids: Identifiers, made_at: str, division: Json) -> Telephony:
    """Return sites and phone bases; the first site is the organization's default."""
    telephony = Telephony()
    for name in SITES:
        site = _entity(ids.new("site"), name, made_at, division, f"{EDGES}/sites")
        site |= {"location": {"id": ids.new("location"), "name": f"{name} location", "state": "active"}}
        site |= {"managed": False, "mediaModel": "Cloud", "coreSite": False}
        telephony.sites[site["id"]] = site
    for name, meta_base, line_meta_base in _PHONE_BASES:
        _add_phone_base(telephony, ids, made_at, division, (name, meta_base, line_meta_base))
    return telephony


def _add_phone_base(
    telephony: Telephony, ids: Identifiers, made_at: str, division: Json, described: tuple[str, str, str]
) -> None:
    name, meta_base, line_meta_base = described
    line_base = _entity(ids.new("line base"), f"{name} Line", made_at, division, f"{EDGES}/linebasesettings")
    line_base |= {"lineMetaBase": {"id": line_meta_base, "name": line_meta_base.removesuffix(".json")}}
    body = _entity(ids.new("phone base"), name, made_at, division, f"{EDGES}/phonebasesettings")
    body |= {"phoneMetaBase": {"id": meta_base, "name": meta_base.removesuffix(".json")}}
    body |= {
        "capabilities": _WEBRTC_CAPABILITIES if meta_base == WEBRTC_META_BASE else {"provisions": True, "cdm": True}
    }
    telephony.line_bases[line_base["id"]] = line_base
    telephony.bases[body["id"]] = PhoneBase(body["id"], name, meta_base, [line_base], body)


def _entity(entity_id: str, name: str, made_at: str, division: Json, listing: str) -> Json:
    return {
        "id": entity_id,
        "name": name,
        "division": {"id": division["id"], "name": division["name"], "selfUri": division["selfUri"]},
        "version": 1,
        "dateCreated": made_at,
        "dateModified": made_at,
        "state": "active",
        "selfUri": f"{listing}/{entity_id}",
    }
