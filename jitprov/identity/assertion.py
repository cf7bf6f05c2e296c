"""Reads a SAML assertion that somebody saved, safely: nothing is fetched, nothing unfolds, nothing is trusted.

A document type, an entity, deep nesting and great size are refused. What is odd but readable (a comment inside a value,
a second assertion, a signature that covers something else) is kept as an oddity, for `findings` to explain. Signatures
are looked at and not verified: this is for people who mend attributes, it lets nobody in.

Source: SAML 2.0 core, sections 2 and 3; defusedxml for what XML allows and nobody needs.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qs
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from jitprov.errors import AssertionUnreadable

BYTES_MAX = 1_048_576
_DEPTH_MAX = 48
_ELEMENTS_MAX = 5_000

_SAML = "{urn:oasis:names:tc:SAML:2.0:assertion}"
_PROTOCOL = "{urn:oasis:names:tc:SAML:2.0:protocol}"
_SIGNATURE = "{http://www.w3.org/2000/09/xmldsig#}"
_XINCLUDE = "{http://www.w3.org/2001/XInclude}"
# What may change a document before its signature is computed, beyond enveloped-signature and canonicalization.
_STRANGE_TRANSFORMS = ("xslt", "xpath", "xmldsig-filter")


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute as it is sent; case and spaces kept.

    Attributes:
        name: What Genesys compares.
        friendly_name: What the identity provider shows beside it; read by nobody here.
        values: In order; an absent or nil value is an empty text.
    """

    name: str
    friendly_name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Oddity:
    """Something no honest assertion needs.

    Attributes:
        kind: `comment`, `processing_instruction`, `xinclude`, `transform`, `signature_elsewhere`, `duplicate_id`.
        place: Name of the element that it stands in.
    """

    kind: str
    place: str


@dataclass(frozen=True, slots=True)
class Assertion:
    """What a response or an assertion says. Instants are aware UTC, None when absent.

    Attributes:
        kind: `Response` or `Assertion`: the root.
        assertions: Assertions in the document, at any depth.
        encrypted: Of these, how many more are encrypted and so unseen.
        signed: Which of `Response` and `Assertion` carry a signature of their own; not verified.
        status: Last part of the response's status code; empty for a bare assertion.
        confirm_before: End of the time in which the subject may be confirmed.
    """

    kind: str
    assertions: int
    encrypted: int
    signed: tuple[str, ...]
    status: str
    issuer: str
    destination: str
    name_id: str | None
    name_id_format: str
    attributes: tuple[Attribute, ...]
    audiences: tuple[str, ...]
    recipients: tuple[str, ...]
    issued_at: datetime | None
    not_before: datetime | None
    not_on_or_after: datetime | None
    confirm_before: datetime | None
    oddities: tuple[Oddity, ...]


def read_assertion(raw: bytes) -> Assertion:
    """Read what was saved.

    Args:
        raw: XML, or a `SAMLResponse` in base64 (bare, as a form field, or deflated as in a redirect); at most
            `BYTES_MAX`.

    Raises:
        AssertionUnreadable: Says what is wrong with it and what to save instead; quotes nothing of it.
    """
    if len(raw) > BYTES_MAX:
        raise AssertionUnreadable("larger than 1 MiB", "Save the one SAMLResponse, not the whole capture")
    root, oddities = _parsed(_as_xml(raw.strip().removeprefix(b"\xef\xbb\xbf")))
    if root.tag not in {f"{_PROTOCOL}Response", f"{_SAML}Assertion"}:
        raise AssertionUnreadable(
            f"its outermost element is {_local(root.tag)}", "Save a SAML 2.0 Response or Assertion"
        )
    return _described(root, oddities)


def _as_xml(text: bytes) -> bytes:
    if text.startswith(b"<"):
        return text
    if b"SAMLResponse=" in text:
        fields = parse_qs(text.decode("ascii", "replace"), max_num_fields=50)
        text = fields.get("SAMLResponse", [""])[0].replace(" ", "+").encode("ascii", "replace")
    try:
        decoded = base64.b64decode(b"".join(text.split()), validate=True).strip()
    except binascii.Error:
        decoded = b""
    if decoded and not decoded.startswith((b"<", b"\xef\xbb\xbf<")):
        decoded = _inflated(decoded)
    if not decoded:
        raise AssertionUnreadable(
            "neither XML nor a SAMLResponse in base64",
            "Save the value of the form field SAMLResponse, as the browser's network tab shows it",
        )
    return decoded.removeprefix(b"\xef\xbb\xbf")


def _inflated(packed: bytes) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = inflater.decompress(packed, BYTES_MAX)
    except zlib.error:
        return b""
    if inflater.unconsumed_tail:
        raise AssertionUnreadable("unpacks to more than 1 MiB", "Save the one SAMLResponse, not the whole capture")
    return plain if plain.lstrip().startswith(b"<") else b""


class _Target:
    """Builds the tree within bounds, and notes what a tree would hide: comments and processing instructions."""

    def __init__(self) -> None:
        self._builder = TreeBuilder()
        self._open: list[str] = []
        self._elements = 0
        self.oddities: list[Oddity] = []

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        self._open.append(_local(tag))
        if len(self._open) > _DEPTH_MAX or self._elements > _ELEMENTS_MAX:
            raise AssertionUnreadable("nested too deeply, or of too many elements", "Save one assertion")
        if tag.startswith(_XINCLUDE):
            self.oddities.append(Oddity("xinclude", self._open[-2] if len(self._open) > 1 else "the document"))
        self._builder.start(tag, attributes)

    def end(self, tag: str) -> None:
        self._open.pop()
        self._builder.end(tag)

    def data(self, text: str) -> None:
        self._builder.data(text)

    def comment(self, _: str) -> None:
        self._note("comment")

    def pi(self, _: str, __: str | None = None) -> None:
        self._note("processing_instruction")

    def close(self) -> Element:
        return self._builder.close()

    def _note(self, kind: str) -> None:
        self.oddities.append(Oddity(kind, self._open[-1] if self._open else "the document"))


def _parsed(xml: bytes) -> tuple[Element, list[Oddity]]:
    target = _Target()
    parser = DefusedXMLParser(target=target, forbid_dtd=True, forbid_entities=True, forbid_external=True)
    try:
        # Its own encoding, whatever the file declares: a declared one could make other text of the same bytes.
        xml.decode("utf-8")
        parser.feed(xml)
        root: Element = parser.close()
    except UnicodeDecodeError:
        raise AssertionUnreadable("not UTF-8", "Save it as it was sent") from None
    except DefusedXmlException:
        raise AssertionUnreadable(
            "it declares a document type or an entity, which no assertion needs and attacks are made of",
            "Do not send it anywhere; ask where it comes from",
        ) from None
    except (ParseError, ValueError, LookupError) as error:
        line = getattr(error, "position", (0, 0))[0]
        where = f"not well-formed XML (line {line})" if line else "not well-formed XML"
        raise AssertionUnreadable(where, "Save it whole, as it was sent") from None
    return root, target.oddities


def _described(root: Element, oddities: list[Oddity]) -> Assertion:
    response = root if root.tag == f"{_PROTOCOL}Response" else None
    chosen = root if response is None else response.find(f"{_SAML}Assertion")
    holders = {_local(element.tag): element for element in (response, chosen) if element is not None}
    body = chosen if chosen is not None else Element(f"{_SAML}Assertion")
    name_id = body.find(f"{_SAML}Subject/{_SAML}NameID")
    conditions = body.find(f"{_SAML}Conditions")
    confirmations = body.findall(f"{_SAML}Subject/{_SAML}SubjectConfirmation/{_SAML}SubjectConfirmationData")
    ends = [end for each in confirmations if (end := _instant(each, "NotOnOrAfter"))]
    code = response.find(f"{_PROTOCOL}Status/{_PROTOCOL}StatusCode") if response is not None else None
    return Assertion(
        kind=_local(root.tag),
        assertions=sum(1 for _ in root.iter(f"{_SAML}Assertion")),
        encrypted=sum(1 for _ in root.iter(f"{_SAML}EncryptedAssertion")),
        signed=tuple(kind for kind, element in holders.items() if element.find(f"{_SIGNATURE}Signature") is not None),
        status=code.get("Value", "").rpartition(":")[2] if code is not None else "",
        issuer=_text(body.find(f"{_SAML}Issuer")) or _text(root.find(f"{_SAML}Issuer")),
        destination=root.get("Destination", ""),
        name_id=_text(name_id) if name_id is not None else None,
        name_id_format=name_id.get("Format", "") if name_id is not None else "",
        attributes=tuple(map(_attribute, body.findall(f"{_SAML}AttributeStatement/{_SAML}Attribute"))),
        audiences=tuple(map(_text, body.iter(f"{_SAML}Audience"))),
        recipients=tuple(each.get("Recipient", "") for each in confirmations),
        issued_at=_instant(body, "IssueInstant") or _instant(root, "IssueInstant"),
        not_before=_instant(conditions, "NotBefore"),
        not_on_or_after=_instant(conditions, "NotOnOrAfter"),
        confirm_before=min(ends) if ends else None,
        oddities=(*oddities, *_odd_signatures(root, list(holders.values())), *_odd_ids(root)),
    )


def _odd_signatures(root: Element, holders: list[Element]) -> Iterator[Oddity]:
    own = {id(signature): holder for holder in holders for signature in holder.findall(f"{_SIGNATURE}Signature")}
    for signature in root.iter(f"{_SIGNATURE}Signature"):
        holder = own.get(id(signature))
        covered = {reference.get("URI", "") for reference in signature.iter(f"{_SIGNATURE}Reference")}
        # Without an id, "" means the whole document.
        expected = {f"#{holder.get('ID', '')}"} if holder is not None else set()
        if holder is None or covered != expected:
            place = _local(holder.tag) if holder is not None else "another element"
            yield Oddity("signature_elsewhere", place)
        for transform in signature.iter(f"{_SIGNATURE}Transform"):
            if any(word in transform.get("Algorithm", "").lower() for word in _STRANGE_TRANSFORMS):
                yield Oddity("transform", "Signature")


def _odd_ids(root: Element) -> Iterator[Oddity]:
    ids = Counter(own for element in root.iter() if (own := element.get("ID")))
    if any(number > 1 for number in ids.values()):
        yield Oddity("duplicate_id", "the document")


def _attribute(element: Element) -> Attribute:
    values = tuple(map(_text, element.findall(f"{_SAML}AttributeValue")))
    return Attribute(element.get("Name", ""), element.get("FriendlyName", ""), values)


def _text(element: Element | None) -> str:
    return "".join(element.itertext()) if element is not None else ""


def _instant(element: Element | None, name: str) -> datetime | None:
    written = element.get(name) if element is not None else None
    try:
        instant = datetime.fromisoformat(written) if written else None
    except ValueError:
        return None
    return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)) if instant else None


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
