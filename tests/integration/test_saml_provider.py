"""`saml check --provider`: what Genesys Cloud itself expects, read from the identity provider that is set up there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from in_process import InProcess, in_process
from jitprov.identity.assertion import read_assertion
from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.server import SandboxThread

pytestmark = pytest.mark.integration

GOOD = Path(__file__).parents[1] / "data/saml/good.xml"
CHECK = ("saml", "check", str(GOOD), "--at", "2026-11-24T09:00:00Z")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxThread]:
    with SandboxThread(SandboxOptions(time_scale=60, limit_per_min=100_000)) as running:
        yield running


@pytest.fixture
def parts(sandbox: SandboxThread, redis_url: str, key_prefix: str, tmp_path: Path) -> Iterator[InProcess]:
    sandbox.control.reset()
    with in_process(sandbox, redis_url, key_prefix, tmp_path) as running:
        yield running


def set_up(parts: InProcess, **changes: Any) -> None:
    """Set up the provider that the good assertion comes from, changed in some way."""
    base, read = parts.sandbox.base_url, read_assertion(GOOD.read_bytes())
    form, login = {"grant_type": "client_credentials"}, ("sandbox-client", "sandbox-secret")
    token = requests.post(f"{base}/oauth/token", auth=login, data=form, timeout=5).json()["access_token"]
    body = {"name": "Entra ID", "issuerURI": read.issuer, "relyingPartyIdentifier": read.audiences[0]} | changes
    headers = {"Authorization": f"Bearer {token}"}
    requests.post(f"{base}/api/v2/identityproviders", headers=headers, json=body, timeout=5).raise_for_status()


def test_what_fits_the_set_up_is_as_expected(parts: InProcess) -> None:
    """An assertion of the provider's issuer and audience has no finding; it costs one call."""
    set_up(parts)
    before = parts.sandbox.control.oracle()["calls"]

    assert parts.told(*CHECK, "--provider", "entra id")["findings"] == []
    assert parts.sandbox.control.oracle()["calls"] - before == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"issuerURI": "https://another.example.test/"}, "issuer"),
        ({"relyingPartyIdentifier": "another-organization"}, "audience"),
        ({"nameIdentifierFormat": "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"}, "name_id_format"),
    ],
)
def test_what_does_not_fit_the_set_up_is_found(parts: InProcess, changes: dict[str, str], code: str) -> None:
    """Issuer, audience and name identifier format are compared with what the provider says."""
    set_up(parts, **changes)

    found = parts.told(*CHECK, "--provider", "Entra ID", code=4)["findings"]

    assert [finding["code"] for finding in found] == [code]


def test_an_unknown_provider_and_a_disabled_one_are_said(parts: InProcess) -> None:
    """A name that nobody set up is answered with those there are; a disabled provider lets nobody in."""
    set_up(parts, disabled=True)

    assert "there are: 'Entra ID'" in parts.said(*CHECK, "--provider", "Entra", code=1)
    assert "is disabled in Genesys Cloud" in parts.said(*CHECK, "--provider", "Entra ID")
