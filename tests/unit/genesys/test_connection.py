"""The way to the API: what the environment says counts for the real region, and a request leaves as it was given."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import certifi
import pytest
from urllib3 import HTTPResponse

from fixed_clock import FixedClock
from jitprov.genesys.connection import ApiConnection
from jitprov.genesys.last_moment import Body, LastMoment
from jitprov.settings import Settings, read_settings


def settings_of(**more: Any) -> Settings:
    return read_settings(_env_file=None, **more)


class Pool:
    """Notes what leaves."""

    def __init__(self) -> None:
        self.left: list[tuple[str, str, Any, Mapping[str, str]]] = []

    def urlopen(self, method: str, target: str, *, body: Any, headers: Mapping[str, str], **_: Any) -> HTTPResponse:
        self.left.append((method, target, body, headers))
        return HTTPResponse(io.BytesIO(b""), status=202, preload_content=False)


def test_the_environment_s_proxy_stands_before_the_region_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandbox is on this machine, and is reached straight; so is a region that the environment excepts."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:3128")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.test:3128")

    assert ApiConnection(settings_of()).pool.proxy.host == "proxy.test"
    assert ApiConnection(settings_of(api_url="http://127.0.0.1:9")).pool.proxy is None
    monkeypatch.setenv("NO_PROXY", ".mypurecloud.com")
    assert ApiConnection(settings_of(region="mypurecloud.com")).pool.proxy is None


def test_the_environment_s_certificates_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle of one's own, as behind a company's proxy, is what the region's certificate is checked by."""
    bundle = tmp_path / "company.pem"
    bundle.write_bytes(Path(certifi.where()).read_bytes())
    usual = ApiConnection(settings_of()).pool
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    own = ApiConnection(settings_of()).pool

    assert (usual.cert_reqs, own.cert_reqs) == ("CERT_REQUIRED", "CERT_REQUIRED")
    assert own.ca_certs == str(bundle)


def test_a_request_leaves_as_it_was_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Query and body as the API reads them, behind the base's own path; a .netrc that knows the host adds nothing."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    connection, pool = ApiConnection(settings_of(api_url="http://127.0.0.1:9/behind/")), Pool()
    connection.pool = cast("Any", pool)
    token = {"Authorization": "Bearer token-1"}

    connection.send("GET", "/users", token, params={"id": ["a", "b"], "webRtcUser.id": "c d", "pageSize": 100})
    connection.send("PATCH", "/users/a", token, json=[{"name": "Åsa"}])
    connection.send("PUT", "/users/a", token)
    body = Body(b"{}", LastMoment(FixedClock(), within_s=10))
    connection.send("POST", "/phones", token, data=body)

    read, patch, put, post = pool.left
    assert read == ("GET", "/behind/users?id=a&id=b&webRtcUser.id=c+d&pageSize=100", None, token)
    assert patch == (
        *("PATCH", "/behind/users/a", b'[{"name": "\\u00c5sa"}]'),
        token | {"Content-Type": "application/json"},
    )
    assert put == ("PUT", "/behind/users/a", None, token)
    assert post == ("POST", "/behind/phones", body, token | {"Content-Length": "2"})


def test_a_header_that_cannot_be_sent_is_an_error_before_anything_is() -> None:
    """A token with a line break in it would end the header early."""
    connection = ApiConnection(settings_of(api_url="http://127.0.0.1:9"))

    with pytest.raises(ValueError, match="Invalid header"):
        connection.send("GET", "/users", {"Authorization": "Bearer a\nb"})
    connection.close()
