"""Assertions as they come, good, mistaken and hostile, against what must be found in each (tests/data/saml)."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from jitprov.errors import AssertionUnreadable
from jitprov.identity.assertion import BYTES_MAX, read_assertion
from jitprov.identity.findings import Finding, find_mismatches
from jitprov.identity.mapping import read_mapping

CORPUS = Path(__file__).parents[2] / "data/saml"
EXPECTED = yaml.safe_load((CORPUS / "expected.yaml").read_text())
MAPPING = read_mapping((CORPUS / "mapping.yaml").read_bytes(), "mapping.yaml")
NINE = datetime(2026, 11, 24, 9, tzinfo=UTC)


def codes_of(raw: bytes) -> list[str]:
    findings = find_mismatches(read_assertion(raw), MAPPING, now=NINE, exact=True)
    return [finding.code for finding in findings if finding.severity != "note"]


def findings_of(name: str) -> list[Finding]:
    return list(find_mismatches(read_assertion((CORPUS / name).read_bytes()), MAPPING, now=NINE, exact=True))


@pytest.fixture
def listener() -> Iterator[tuple[int, list[bytes]]]:
    """A port that notes whoever calls."""
    calls: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as door:
        door.settimeout(5)

        def take() -> None:
            try:
                while True:
                    caller, _ = door.accept()
                    calls.append(caller.recv(100))
                    caller.close()
            except OSError:
                return

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        yield door.getsockname()[1], calls
        socket.create_connection(door.getsockname()).close()
        door.close()


def test_every_file_has_its_expectation() -> None:
    """No assertion of the corpus is left unjudged, and none is expected that is not there."""
    assert {path.name for path in CORPUS.iterdir() if path.suffix in {".xml", ".txt"}} == set(EXPECTED)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_what_is_wrong_is_found(name: str, listener: tuple[int, list[bytes]]) -> None:
    """Each file's faults are named, no other is, and nothing is ever fetched."""
    port, calls = listener
    raw = (CORPUS / name).read_bytes().replace(b"127.0.0.1:PORT", f"127.0.0.1:{port}".encode())

    if EXPECTED[name] == "unreadable":
        with pytest.raises(AssertionUnreadable):
            read_assertion(raw)
    else:
        assert codes_of(raw) == EXPECTED[name]
    assert calls == []


def test_one_assertion_reads_the_same_in_every_wrapping() -> None:
    """Raw, bare, base64, form field and deflated say the same attributes."""
    wrapped = ["good.xml", "good_bare.xml", "good_base64.txt", "good_form.txt", "good_deflated.txt"]
    read = [read_assertion((CORPUS / name).read_bytes()) for name in wrapped]

    assert {each.attributes for each in read} == {read[0].attributes}
    assert [attribute.name for attribute in read[0].attributes] == ["OrganizationName", "email"]
    assert {(each.audiences, each.issuer, each.name_id) for each in read} == {
        (("https://example-centre.example.test/genesys",), "https://idp.example.test/idp", "robin@example.test")
    }


def test_what_is_too_large_is_not_parsed() -> None:
    """Ten megabytes are refused by their size, and so is what unpacks to more."""
    whole = (CORPUS / "good.xml").read_bytes()

    with pytest.raises(AssertionUnreadable, match="larger than 1 MiB"):
        read_assertion(whole.replace(b"robin", b"r" * 10_485_760, 1))
    with pytest.raises(AssertionUnreadable, match="1 MiB"):
        read_assertion(_deflated(whole + b" " * (2 * BYTES_MAX)))


def _deflated(plain: bytes) -> bytes:
    import base64  # noqa: PLC0415  one use
    import zlib  # noqa: PLC0415  one use

    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return base64.b64encode(packer.compress(plain) + packer.flush())


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1", "utf-7"])
def test_another_encoding_is_refused(encoding: str) -> None:
    """Bytes that mean other text in the encoding they declare are refused or read as UTF-8, never as declared."""
    text = (CORPUS / "good.xml").read_text().replace("UTF-8", encoding).replace("robin", "r\u00f6bin")

    with pytest.raises(AssertionUnreadable):
        read_assertion(text.encode(encoding))


def test_an_error_quotes_nothing() -> None:
    """What cannot be read is not repeated: it may be a capture of somebody's sign-in."""
    with pytest.raises(AssertionUnreadable) as caught:
        read_assertion(b"<samlp:Response secret='canary-7'><unclosed>")

    assert "canary-7" not in str(caught.value)


def test_no_finding_repeats_a_persons_value() -> None:
    """Findings go into tickets: they name attributes, never what a person's attributes hold."""
    for name, expected in EXPECTED.items():
        if expected != "unreadable":
            told = " ".join(f"{each.cause} {each.remedy} {each.place}" for each in findings_of(name))
            assert "robin" not in told.lower()


def test_every_mistake_names_the_attribute_and_the_likely_cause() -> None:
    """A URI for a short name and a wrong case say what was sent instead, and why that is not the same."""
    (entra,) = [each for each in findings_of("entra_default.xml") if each.code == "uri_for_short_name"]
    okta = [each for each in findings_of("okta_default.xml") if each.code == "case"]

    assert "'email' is not sent" in entra.cause
    assert "claims/emailaddress" in entra.cause
    assert "namespace" in entra.cause
    assert [each.cause for each in okta] == [
        "'OrganizationName' is not sent; 'organizationname' is: names are compared with case",
        "'email' is not sent; 'Email' is: names are compared with case",
    ]


def test_a_saved_assertion_is_not_blamed_for_its_age() -> None:
    """Looked at without an instant, an assertion that has ended is told so as a note."""
    read = read_assertion((CORPUS / "expired.xml").read_bytes())
    found = find_mismatches(read, MAPPING, now=NINE, exact=False)

    assert [(each.code, each.severity) for each in found] == [("expired", "note")]
