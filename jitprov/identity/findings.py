"""What is wrong with an assertion, each with its likely cause and what to do. Pure; values of people are not repeated.

Names are compared as Genesys Cloud compares them: case, namespace and all. Source: FACTS section 5 (attributes are
case-sensitive, encryption is not supported, more than 10 s of clock skew lock users out, the address that assertions
go to is `https://login.<region>/saml`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from jitprov.domain.skills import nearest_names
from jitprov.identity.assertion import Assertion, Attribute
from jitprov.identity.likely_cause import likely_cause
from jitprov.identity.mapping import ACTED_ON, NAME_ID, Expectations, Expected

SKEW_S = 10.0
_CLOCK_S = 600.0

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as expected.

    Attributes:
        code: Stable word, such as `case` or `audience`.
        severity: `error` keeps people out or leaves a field empty; `warning` may; `note` is for knowing.
        place: Field, attribute or part.
        cause: What is so, and the likely reason.
        remedy: What to change, and where.
    """

    code: str
    severity: Severity
    place: str
    cause: str
    remedy: str


_ODD = {
    "comment": "a comment stands inside it: readers disagree on the value then, some end it at the comment",
    "processing_instruction": "a processing instruction stands in it, which no identity provider sends",
    "xinclude": "it asks to include another document; nothing was fetched here",
    "transform": "its signature is computed over a transformed document (XSLT, XPath), which can hide what was signed",
    "signature_elsewhere": "its signature covers another element than the one that carries it, or nothing",
    "duplicate_id": "two elements have the same ID, so what the signature covers is not certain",
}


def find_mismatches(assertion: Assertion, expected: Expectations, *, now: datetime, exact: bool) -> tuple[Finding, ...]:
    """Return what is not as expected: structure first, then addresses, times and fields.

    Args:
        assertion: As read.
        expected: What the organization expects.
        now: When the assertion was, or would be, presented; aware.
        exact: True when `now` is that instant. False when it is merely the time of looking: a saved assertion is
            always expired then, which is no fault of it.
    """
    structure = tuple(_structure(assertion))
    if not assertion.assertions:
        return structure  # there is nothing else to see
    return (
        *structure,
        *_addresses(assertion, expected),
        *_times(assertion, now, exact=exact),
        *(finding for field in expected.fields for finding in _field(field, assertion)),
        *_ignored(assertion),
    )


def _structure(assertion: Assertion) -> Iterator[Finding]:
    if assertion.status not in {"", "Success"}:
        yield Finding(
            "status", "error", "status", f"the identity provider answers {assertion.status}",
            "Look into its sign-in log: it did not let this person in",
        )  # fmt: skip
    if assertion.encrypted:
        yield Finding(
            "encrypted", "error", "assertion", "it is encrypted, which Genesys Cloud does not support",
            "Turn assertion encryption off in the identity provider",
        )  # fmt: skip
    elif assertion.assertions == 0:
        yield Finding(
            "no_assertion", "error", "response", "it holds no assertion",
            "Look into the identity provider's sign-in log",
        )  # fmt: skip
    if assertion.assertions > 1:
        yield Finding(
            "several_assertions", "error", "response",
            f"it holds {assertion.assertions} assertions: which one is believed is not certain (signature wrapping)",
            "Do not use it; ask who made it. An honest response holds one",
        )  # fmt: skip
    if assertion.assertions and not assertion.signed:
        yield Finding(
            "unsigned", "error", "signature", "neither response nor assertion is signed",
            "Let the identity provider sign the assertion, with a certificate that is set in Genesys Cloud",
        )  # fmt: skip
    for oddity in dict.fromkeys(assertion.oddities):
        yield Finding(oddity.kind, "error", oddity.place, _ODD[oddity.kind], "Do not use it; ask who made it, and how")


def _addresses(assertion: Assertion, expected: Expectations) -> Iterator[Finding]:
    setting = "in the identity provider, or the single sign-on settings of Genesys Cloud"
    if expected.issuer and assertion.issuer != expected.issuer:
        yield _differs("issuer", (assertion.issuer,), expected.issuer, f"Make both the same {setting}")
    if expected.audience and expected.audience not in assertion.audiences:
        yield _differs(
            "audience",
            assertion.audiences,
            expected.audience,
            f"Make audience and relying party identifier the same {setting}",
        )
    sent_to = tuple(filter(None, (*assertion.recipients, assertion.destination)))
    if expected.recipient and any(each != expected.recipient for each in sent_to):
        yield _differs(
            "recipient",
            sent_to,
            expected.recipient,
            "Set the assertion consumer service (reply URL) to the region's own",
        )
    if expected.name_id_format and assertion.name_id_format != expected.name_id_format:
        yield _differs(
            "name_id_format", (assertion.name_id_format,), expected.name_id_format, f"Make both the same {setting}"
        )


def _differs(code: str, found: Sequence[str], wanted: str, remedy: str) -> Finding:
    shown = ", ".join(repr(each) for each in dict.fromkeys(found) if each) or "nothing"
    near = "; they differ in case or a slash only" if any(_loose(each) == _loose(wanted) for each in found) else ""
    return Finding(code, "error", code, f"it says {shown}, expected is {wanted!r}{near}", remedy)


def _loose(text: str) -> str:
    return text.strip().rstrip("/").casefold()


def _times(assertion: Assertion, now: datetime, *, exact: bool) -> Iterator[Finding]:
    skew = timedelta(seconds=SKEW_S)
    begins = max(filter(None, (assertion.not_before, assertion.issued_at)), default=None)
    ends = min(filter(None, (assertion.not_on_or_after, assertion.confirm_before)), default=None)
    if begins and now + skew < begins:
        early_s = (begins - now).total_seconds()
        clock = early_s < _CLOCK_S
        why = (
            "the two clocks differ by more than the 10 s that Genesys Cloud bears" if clock else "it is from the future"
        )
        yield Finding(
            "clock_skew" if clock else "not_yet_valid", "error", "time", f"it is valid in {early_s:.0f} s only: {why}",
            "Set the identity provider's clock by NTP",
        )  # fmt: skip
    if begins and ends and ends <= begins:
        yield Finding(
            "never_valid", "error", "time", "it ends before it begins", "Mend the lifetime in the identity provider"
        )
        return
    if ends and now >= ends + skew:
        late_s = (now - ends).total_seconds()
        late = f"it ended {late_s:.0f} s before"
        if exact:
            yield Finding(
                "expired", "error", "time", f"{late}: replayed, delivered late, or the clocks differ",
                "Sign in anew; if it recurs, set the identity provider's clock by NTP and its lifetime to minutes",
            )  # fmt: skip
        else:
            yield Finding(
                "expired", "note", "time", f"{late} now, as every saved assertion has",
                "To judge its times, say when it was presented: --at 2026-11-24T09:00:00Z",
            )  # fmt: skip


def _field(expected: Expected, assertion: Assertion) -> Iterator[Finding]:
    if expected.attribute == NAME_ID:
        if assertion.name_id is None and expected.required:
            yield Finding(
                "missing", "error", expected.field, "the subject has no NameID", "Send the name identifier as a claim"
            )
        elif assertion.name_id is not None:
            yield from _values(expected, (assertion.name_id,))
        return
    sent = [attribute for attribute in assertion.attributes if attribute.name == expected.attribute]
    if not sent:
        yield from _absent(expected, assertion.attributes)
        return
    if len(sent) > 1:
        yield Finding(
            "attribute_twice", "error", expected.field, f"attribute {expected.attribute!r} is sent {len(sent)} times",
            "Leave one claim of this name in the identity provider",
        )  # fmt: skip
    yield from _values(expected, sent[0].values)


def _values(expected: Expected, values: Sequence[str]) -> Iterator[Finding]:
    filled = [value for value in values if value.strip()]
    where, remedy = (
        expected.field,
        f"Fill in what feeds {expected.attribute!r} for this person in the identity provider",
    )
    if not filled:
        severity: Severity = "error" if expected.required else "warning"
        yield Finding("empty", severity, where, f"attribute {expected.attribute!r} is sent without a value", remedy)
        return
    if len(filled) > 1 and not expected.several:
        yield Finding(
            "several_values", "error", where,
            f"attribute {expected.attribute!r} has {len(filled)} values, expected is one",
            "Choose one in the identity provider (a primary address, not all of them)",
        )  # fmt: skip
    if any(value != value.strip() for value in filled):
        yield Finding(
            "spaces_in_value", "error", where, f"the value of {expected.attribute!r} begins or ends with a space",
            "Remove it at the source; values are compared as they are",
        )  # fmt: skip
    if expected.attribute == "email" and not all("@" in value for value in filled):
        yield Finding(
            "not_an_address", "error", where, "the value of 'email' is no e-mail address",
            "Map the person's e-mail address, not the login name; it must be the one of the Genesys Cloud user",
        )  # fmt: skip
    if expected.value and expected.value not in filled:
        case = any(value.strip().casefold() == expected.value.casefold() for value in filled)
        cause = "in other case or with spaces" if case else "another value"
        yield Finding(
            "value_case" if case else "value", "error", where, f"{expected.attribute!r} has {cause} than expected",
            f"Send exactly {expected.value!r}",
        )  # fmt: skip


def _absent(expected: Expected, sent: Sequence[Attribute]) -> Iterator[Finding]:
    wanted = expected.attribute
    likely = likely_cause(wanted, sent)
    if likely:
        yield Finding(
            likely.code, "error", expected.field, f"{wanted!r} is not sent; {likely.sent!r} is: {likely.why}",
            f"Name the claim exactly {wanted!r} in the identity provider",
        )  # fmt: skip
        return
    if expected.required:
        near = nearest_names(wanted, [attribute.name for attribute in sent], limit=1)
        hint = f"; nearest: {near[0]!r}" if near else ""
        yield Finding(
            "missing", "error", expected.field, f"{wanted!r} is not sent{hint}",
            f"Add a claim named {wanted!r} in the identity provider, and see that it is released to this application",
        )  # fmt: skip


def _ignored(assertion: Assertion) -> Iterator[Finding]:
    acted_on = {expected.attribute for expected in ACTED_ON}
    rest = sorted({attribute.name for attribute in assertion.attributes} - acted_on)
    if rest:
        yield Finding(
            "not_acted_on", "note", "attributes",
            f"Genesys Cloud's single sign-on does nothing with: {', '.join(rest)}",
            "What shall reach the user's profile goes by SCIM, or by jitprov's rules",
        )  # fmt: skip
